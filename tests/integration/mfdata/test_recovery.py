"""What dead workers leave: whose fault it was, and what belongs to nobody."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from mfdata import quarantine
from mfdata.file import first_tags, new_uid, read_tags, waiting_name, write_tags
from mfdata.guardian import Guardian
from mfdata.orphans import Orphans
from mfdata.places import LOCK, Places, Target
from mfdata.recovery import Recovery
from mfdata.trace import Trace, life
from mfext.exits import Exit, note_exit
from mfext.testing import temporary_home

STEP = Target("p", "main")
PID = 4_000_000


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


# ── tags without a file ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def without_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no extended attributes, and no pause between two looks."""
    monkeypatch.setattr("mfdata.orphans._EVERY_S", 0)
    monkeypatch.setattr("mfdata.orphans._LOOK_COST", 0)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)


def tagged(path: Path, places: Places, name: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    write_tags(path, first_tags(new_uid(), b"file", b"incoming"), places.sidecars, name)


@pytest.mark.usefixtures("without_attributes")
def test_tags_whose_file_was_never_published_end_and_those_of_every_file_stay(places: Places) -> None:
    name = waiting_name(b"file")
    # The observer died between the tags and the rename into the queue.
    tagged(places.incoming / "incoming" / "file", places, "5-orphan")
    tagged(places.queue(STEP) / f"{name}-waits", places)
    tagged(places.work(STEP) / "1-a" / f"{name}-claimed", places)
    tagged(places.work(STEP) / "1-a" / f"{name}-x.commit" / "q.main" / f"{name}-committed", places)
    tagged(places.quarantine(STEP) / f"{name}-kept", places)
    tagged(places.delayed(STEP) / f"{name}-delayed", places)
    (places.delayed(STEP) / f"{name}-delayed").rename(places.delayed(STEP) / f"{1:016d}-{name}-delayed")
    (places.sidecars / ".unfinished").touch()
    orphans = Orphans(places)
    assert orphans.look() == 0
    assert orphans.look() == 2
    left = {path.name.removeprefix(f"{name}-") for path in places.sidecars.iterdir()}
    assert left == {"waits", "claimed", "committed", "kept", "delayed"}


@pytest.mark.usefixtures("without_attributes")
def test_tags_that_come_before_their_file_are_not_taken_for_orphans(places: Places) -> None:
    part, name = places.incoming / "incoming" / "file", waiting_name(b"file")
    tagged(part, places, name)
    orphans = Orphans(places)
    assert orphans.look() == 0
    places.queue(STEP).mkdir(parents=True)
    part.rename(places.queue(STEP) / name)
    assert orphans.look() == 0
    assert read_tags(places.queue(STEP) / name, places.sidecars)


def test_the_guardian_looks_for_orphans(places: Places) -> None:
    places.sidecars.mkdir(parents=True)
    (places.sidecars / "orphan").touch()
    trace = Trace(places.home, "observer")
    guardian = Guardian(places, Recovery(places, trace, max_crashes=3), dict)
    now = [time.monotonic()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfdata.orphans.time.monotonic", lambda: now[0])
        guardian.look()
        assert (places.sidecars / "orphan").exists()
        now[0] += 601
        guardian.look()
    assert not (places.sidecars / "orphan").exists()
