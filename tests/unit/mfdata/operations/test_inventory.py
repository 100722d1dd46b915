"""What must be on disk after what the trace says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfdata.operations.inventory import Ledger, difference


def event(kind: str, uid: str = "u", at: str = "p/main", **more: Any) -> dict[str, Any]:
    plugin, _, step = at.partition("/")
    return {"t": 0.0, "plugin": plugin, "step": step, "event": kind, "uid": uid, **more}


ACCEPTED = event("accepted", at="/", to=["p/main"])
DONE_TO_A = event("done", to=["a/main"])
DONE_TO_AB = event("done", to=["a/main", "b/main"])
OUTPUT = event("made", "u.1", parent="u", to=["a/main"])
RECOVERED = event("recovered", crashes=1)

CASES: dict[str, tuple[list[dict[str, Any]], dict[str, int], dict[str, int]]] = {
    "accepted": ([ACCEPTED], {"u": 1}, {"accepted": 1}),
    "accepted twice": ([ACCEPTED, ACCEPTED], {"u": 1}, {"accepted": 1}),
    "accepted, but not taken": ([ACCEPTED, event("ignored", at="/")], {}, {"accepted": 0}),
    "not taken, then taken": ([ACCEPTED, event("ignored", at="/"), ACCEPTED], {"u": 1}, {"accepted": 1}),
    "handed on": ([ACCEPTED, DONE_TO_A], {"u": 1}, {"accepted": 1, "added": 0}),
    "ended": ([ACCEPTED, event("done", to=[])], {}, {"accepted": 1, "ended": 1}),
    "ended in a path": ([ACCEPTED, event("done", to=["/archive/x"])], {}, {"accepted": 1, "ended": 1}),
    "fanned out": ([ACCEPTED, DONE_TO_AB], {"u": 2}, {"accepted": 1, "added": 1}),
    "the same destination twice": ([ACCEPTED, event("done", to=["a/m", "a/m*"])], {"u": 1}, {"added": 0}),
    "an output": ([ACCEPTED, event("done", to=[]), OUTPUT], {"u.1": 1}, {"ended": 1, "added": 1}),
    "dropped": ([ACCEPTED, event("dropped", rule="r")], {}, {"dropped": 1}),
    "failed, moved": ([ACCEPTED, event("failed", to=["q/main"])], {"u": 1}, {"added": 0}),
    "retried": ([ACCEPTED, event("retried")], {"u": 1}, {"accepted": 1}),
    "quarantined": ([ACCEPTED, event("quarantined")], {"u": 1}, {"accepted": 1}),
    "put back": ([ACCEPTED, event("quarantined"), event("replayed", to=["p/main"])], {"u": 1}, {"accepted": 1}),
    "died in the step": ([ACCEPTED, RECOVERED], {"u": 1}, {"accepted": 1}),
    "died before the hand-over": ([ACCEPTED, DONE_TO_AB, RECOVERED], {"u": 1}, {"accepted": 1, "added": 0}),
    "died before its output counted": (
        [ACCEPTED, event("done", to=[]), OUTPUT, RECOVERED, event("done", to=[]), OUTPUT],
        {"u.1": 1},
        {"ended": 1, "added": 1},
    ),
    "died too often": ([ACCEPTED, DONE_TO_AB, event("quarantined", crashes=3)], {"u": 1}, {"added": 0}),
    "delivered by recovery": ([ACCEPTED, DONE_TO_AB, event("delivered"), RECOVERED], {"u": 2}, {"added": 1}),
    "dies at the second visit": (
        [ACCEPTED, DONE_TO_A, event("done", at="a/main", to=["p/main"]), RECOVERED],
        {"u": 1},
        {"added": 0},
    ),
    "dies after a fan-out came back": (
        [ACCEPTED, DONE_TO_AB, event("done", at="a/main", to=["p/main"]), RECOVERED],
        {"u": 2},
        {"added": 1},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_ledger_says_what_must_be_there(case: str) -> None:
    told, pieces, totals = CASES[case]
    ledger = Ledger()
    for one in told:
        ledger.enter(one)
    assert ledger.pieces == pieces
    assert {name: ledger.totals[name] for name in totals} == totals


@given(st.lists(st.sampled_from(["a", "ab", "end", "drop", "out"]), max_size=8), st.booleans())
def test_what_came_and_was_added_is_what_ended_and_is_there(acts: list[str], dies: bool) -> None:
    ledger = Ledger()
    for number, act in enumerate(acts):
        uid = str(number)
        ledger.enter(event("accepted", uid, at="/"))
        to = {"a": ["a/m"], "ab": ["a/m", "b/m"]}.get(act, [])
        ledger.enter(event("dropped" if act == "drop" else "done", uid, to=to))
        if act == "out":
            ledger.enter(event("made", f"{uid}.1", parent=uid, to=["a/m", "b/m", "/path"]))
        if dies and number % 2:
            ledger.enter(event("recovered", uid, crashes=1))
    totals = ledger.totals
    assert totals["accepted"] + totals["added"] == totals["ended"] + totals["dropped"] + sum(ledger.pieces.values())


def test_the_difference_names_what_is_missing_and_what_is_too_much() -> None:
    assert difference({"a": 1, "b": 2, "c": 1}, {"a": 1, "b": 1, "d": 1}) == (["b", "c"], ["d"])
