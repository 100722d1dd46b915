from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mfext.supervision.exits import Exit
from mfext.supervision.process import Process
from mfext.supervision.process_state import ProcessState, process_state

ONE = Process("a", ("x",), Path("/"))
TWO = replace(ONE, numprocesses=2)
SILENT = replace(ONE, reports_ready=False)
ONCE = replace(ONE, respawn=False)
NOW = 1000.0
CRASH = Exit(9, NOW - 3, NOW - 2.5, status=1)


def state(
    process: Process,
    started: dict[str, float],
    ready: tuple[int, ...] = (),
    *,
    drained: bool = False,
    last_exit: Exit | None = None,
    **known: Any,
) -> ProcessState:
    facts = {pid: {"drained": True} if drained else {} for pid in ready}
    all_known = {
        "started": started,
        "restarts": 0,
        "failures": 0,
        "not_before": 0.0,
        "active": True,
        "unforced": "",
        **known,
    }
    return process_state(process, all_known, facts, last_exit, rss=5, now=NOW)


@pytest.mark.parametrize(
    ("found", "name", "reason"),
    [
        (state(ONE, {"1": 990}, (1,)), "running", ""),
        (state(ONE, {"1": 990}), "starting", "not ready yet"),
        (state(TWO, {"1": 990, "2": 991}, (1,)), "starting", "1 of 2 ready"),
        (state(ONE, {}), "starting", "not ready yet"),
        (state(SILENT, {"1": 999.5}), "starting", "not ready yet"),
        (state(SILENT, {"1": 998.5}), "running", ""),
        (state(SILENT, {"1": 9000}), "running", ""),  # the clock was set back meanwhile
        (state(SILENT, {"1": 9000}, not_before=9000, longest_wait=60), "running", ""),
        (state(SILENT, {"1": 1012}, not_before=1012, longest_wait=60), "starting", "not ready yet"),
        (state(ONE, {"1": 990}, (1,), drained=True), "drained", "it takes no more work, since it was told to drain"),
        (state(replace(ONE, stalled_after=10.0), {"1": 990}, (1,), standing=4.0), "running", ""),
        (
            state(replace(ONE, stalled_after=600.0), {"1": 990}, (1,), standing=11.0),
            "failing",
            "its loop has stood still for 11 s; stalled_after = 600 s",
        ),
        (
            state(replace(ONE, stalled_after=10.0), {"1": 990}, (1,), standing=8.0),
            "failing",
            "its loop has stood still for 8 s; stalled_after = 10 s",
        ),
        (state(replace(ONE, autostart=False), {}, active=False), "stopped", ""),
        (state(replace(ONE, numprocesses=0), {}, active=False), "stopped", ""),
        (state(ONCE, {}, active=False, last_exit=replace(CRASH, status=0)), "stopped", ""),
        (state(ONCE, {}, active=False, last_exit=CRASH), "failing", "exit status 1, 0.5 s after its start"),
        (state(ONE, {}, active=False), "failing", "it does not run"),
        (
            state(ONE, {"1": 1001}, failures=4, not_before=NOW + 12, last_exit=CRASH),
            "failing",
            "exit status 1, 0.5 s after its start, failed 4 times in a row, next try in 12 s",
        ),
        (
            state(ONE, {"1": 999}, failures=1, last_exit=CRASH),
            "starting",
            "not ready yet, exit status 1, 0.5 s after its start",
        ),
        (state(ONE, {"1": 999}, (1,), failures=4, last_exit=CRASH), "running", ""),
    ],
)
def test_a_state_has_a_name_and_a_reason(found: ProcessState, name: str, reason: str) -> None:
    assert (found.state, found.reason, found.is_well) == (name, reason, not reason)


def test_copies_are_told_oldest_first_and_the_youngest_gives_the_uptime() -> None:
    found = state(TWO, {"7": 990.0, "9": 980.0}, (7, 9, 4))
    assert (found.pids, found.ready, found.uptime) == ((9, 7), (9, 7), 10.0)
    assert list(found.facts) == [9, 7]
