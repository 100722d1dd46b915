from __future__ import annotations

from pathlib import Path

import pytest

from mfext.supervision.exits import Exit, backoff, exit_of, exits_of, failures_in_a_row, note_exit
from mfext.testing import temporary_home


def end(lived: float, *, asked: bool = False, ready: bool = False, pid: int = 1) -> Exit:
    return Exit(pid, started=100.0, time=100.0 + lived, status=1, asked=asked, ready=ready)


@pytest.mark.parametrize(
    ("exits", "numprocesses", "failures"),
    [
        ([], 1, 0),
        ([end(1), end(2), end(3)], 1, 3),
        ([end(1), end(20), end(3)], 1, 1),
        ([end(1), end(3), end(20)], 1, 0),
        ([end(1, asked=True), end(3)], 1, 1),
        ([end(0.5, ready=True), end(0.2, ready=True)], 1, 2),
        ([end(5, ready=True), end(5, ready=True)], 1, 0),
        ([end(1)] * 8, 4, 2),
        ([end(1)] * 3, 4, 0),
    ],
)
def test_failures_are_unasked_ends_soon_after_the_start(exits: list[Exit], numprocesses: int, failures: int) -> None:
    assert failures_in_a_row(exits, numprocesses) == failures


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 0), (2, 0), (3, 2), (4, 4), (7, 32), (8, 60), (5000, 60)]
)
def test_a_failing_process_waits_longer_each_time(failures: int, seconds: float) -> None:
    assert backoff(failures, 60) == seconds


@pytest.mark.parametrize(
    ("exit_", "text"),
    [
        (Exit(1, 0, 2.04, status=3), "exit status 3, 2.0 s after its start"),
        (Exit(1, 0, 2, signal="SIGKILL"), "killed by SIGKILL, 2.0 s after its start"),
        (
            Exit(1, 0, 2, signal="SIGKILL", asked=True, overdue=True),
            "killed by SIGKILL, since it did not end in time when told to, 2.0 s after its start",
        ),
        (
            Exit(1, 0, 2, signal="SIGKILL", out_of_memory=True),
            "killed by SIGKILL, since memory_max was used up, 2.0 s after its start",
        ),
        (
            Exit(1, 0, 2, signal="SIGKILL", stalled=12.3),
            "killed by SIGKILL, since its loop had stood still for 12 s, 2.0 s after its start",
        ),
        (Exit(1, 0, 2), "ended in an unknown way, 2.0 s after its start"),
        (Exit(1, 5, 2, status=0), "exit status 0, 0.0 s after its start"),
    ],
)
def test_an_exit_reads_as_a_sentence(exit_: Exit, text: str) -> None:
    assert str(exit_) == text


def test_exits_are_kept_by_process_and_found_by_pid(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    for pid in (1, 2, 1):
        note_exit(home, "a", end(pid, pid=pid))
    note_exit(home, "b", end(9, pid=9))
    assert [found.pid for found in exits_of(home, "a")] == [1, 2, 1]
    assert exit_of(home, "a", 2) == end(2, pid=2)
    assert exit_of(home, "a", 9) is None
    assert exits_of(home, "c") == []


def test_only_the_last_exits_are_kept(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    for pid in range(1000):
        note_exit(home, "a", end(1, pid=pid))
    pids = [found.pid for found in exits_of(home, "a")]
    assert 100 < len(pids) < 600
    assert pids == list(range(1000 - len(pids), 1000))


def test_a_line_cut_by_a_full_disk_is_passed_over(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    note_exit(home, "a", end(1))
    with (home.run / "exits" / "a").open("a") as file:
        file.write('{"pid": 3, "sta\n')
    note_exit(home, "a", end(2))
    assert len(exits_of(home, "a")) == 2
