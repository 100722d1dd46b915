from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mfext.supervision.process import Process
from mfext.supervision.process_set import Changes, _circus_name, changes

A, B = (Process(name, ("true",), Path("/")) for name in "ab")
A2 = replace(A, fingerprint="2")
A_TWICE = replace(A, numprocesses=2)
A_NEVER = replace(A, numprocesses=0)


@pytest.mark.parametrize(
    ("running", "wanted", "expected"),
    [
        ([], [], Changes()),
        ([A, B], [B, A], Changes()),
        ([], [A], Changes(added=(A,))),
        ([A, B], [B], Changes(removed=("a",))),
        ([A, B], [A2, B], Changes(replaced=(A2,))),
        ([A, B], [A_TWICE, B], Changes(adjusted=(A_TWICE,))),
        ([A], [A_NEVER], Changes(replaced=(A_NEVER,))),
        ([A_NEVER], [A_TWICE], Changes(replaced=(A_TWICE,))),
        ([A], [replace(A, autostart=False)], Changes(replaced=(replace(A, autostart=False),))),
        ([A], [B], Changes(removed=("a",), added=(B,))),
    ],
)
def test_only_what_differs_is_changed(running: list[Process], wanted: list[Process], expected: Changes) -> None:
    assert changes({process.name: process for process in running}, wanted) == expected


def test_names_that_differ_in_case_only_differ_for_circus_too() -> None:
    assert len({_circus_name(name).lower() for name in ("a.B", "A.b", "a.b", "A.B")}) == 4
