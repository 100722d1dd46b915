"""What dead workers leave: whose fault it was, and what belongs to nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mfdata import quarantine
from mfdata.file import first_tags, new_uid, read_tags, waiting_name, write_tags
from mfdata.places import LOCK, Places, Target
from mfdata.recovery import Recovery
from mfdata.trace import Trace, life
from mfext.exits import Exit, note_exit
from mfext.testing import temporary_home

STEP = Target("p", "main")
PID = 4_000_000

Die = Callable[..., Path | None]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


def claimed_by_a_dead_worker(places: Places, uid: str) -> Path:
    folder = places.work(STEP) / f"{PID}-a"
    folder.mkdir(parents=True)
    (folder / LOCK).touch()
    path = folder / waiting_name(b"file")
    path.touch()
    write_tags(path, first_tags(uid, b"file", b"incoming"), places.sidecars)
    return path


def recovered(places: Places, end: Exit, times: int) -> str:
    """The uid of a file on which a worker ended like that so many times."""
    uid = new_uid()
    path = claimed_by_a_dead_worker(places, uid)
    recovery = Recovery(places, Trace(places.home, "observer"), max_crashes=3)
    for _ in range(times):
        note_exit(places.home, "step.p.main", end)
        assert recovery.recover() == 1
        waiting = places.queue(STEP) / path.name
        if not waiting.exists():
            break
        path.parent.mkdir()
        (path.parent / LOCK).touch()
        waiting.rename(path)
    return uid


def test_a_stop_that_does_not_wait_long_enough_says_nothing_against_the_file(places: Places) -> None:
    uid = recovered(places, Exit(PID, 0, 2, signal="SIGKILL", asked=True, overdue=True), 5)
    told = life(places.home, uid)
    assert [(event["event"], event["crashes"]) for event in told] == [("recovered", 0)] * 5
    assert told[0]["reason"] == "killed by SIGKILL, since it did not end in time when told to, 2.0 s after its start"
    (path,) = places.work(STEP).glob("*/[0-9]*")
    assert "latest.core.crashes" not in read_tags(path, places.sidecars)


@pytest.mark.parametrize("asked", [False, True])
def test_whoever_else_dies_counts_against_the_file(places: Places, asked: bool) -> None:
    uid = recovered(places, Exit(PID, 0, 2, signal="SIGKILL", asked=asked), 5)
    assert [event["event"] for event in life(places.home, uid)] == ["recovered", "recovered", "quarantined"]
    (kept,) = quarantine.kept_files(places)
    assert kept.uid == uid
