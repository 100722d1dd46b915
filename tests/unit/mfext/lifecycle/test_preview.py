from __future__ import annotations

from pathlib import Path

from mfext.lifecycle.preview import Preview, lines
from mfext.supervision.process import Process
from mfext.supervision.process_set import Changes


def process(name: str) -> Process:
    return Process(name, ("true",), Path("/"))


def test_what_would_change_is_told_one_line_each() -> None:
    changes = Changes(("old",), (process("new"),), (process("other"),), (process("more"),))
    preview = Preview(True, changes, ["upgrade a from 1-1 to 2-1"], ["3 file(s) wait for a/main"])
    assert [*lines(preview, "mfdata")] == [
        "mfdata would:",
        "  upgrade a from 1-1 to 2-1",
        "  stop old",
        "  start new",
        "  restart other",
        "  change without a restart more",
        "3 file(s) wait for a/main",
    ]


def test_that_nothing_would_change_is_told() -> None:
    assert [*lines(Preview(is_running=True), "mfdata")] == ["mfdata: nothing would change"]


def test_of_a_module_that_does_not_run_no_process_changes() -> None:
    told = [*lines(Preview(is_running=False, plugins=["install a 1-1"]), "mfdata")]
    assert told == ["mfdata would:", "  install a 1-1", "mfdata is not running: no process would change"]
