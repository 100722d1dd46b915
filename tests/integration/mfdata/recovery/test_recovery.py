"""What dead workers leave: whose fault it was, and what belongs to nobody."""

from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mfdata.operations.crashes import deaths
from mfdata.quarantine import quarantine
from mfdata.queue.worker_folder import KILLED
from mfdata.recovery.housekeeping import Housekeeping
from mfdata.recovery.orphan_tags import OrphanTags
from mfdata.recovery.recovery import Recovery
from mfdata.storage import tags
from mfdata.storage.names import waiting_name
from mfdata.storage.places import LOCK, Places, Target
from mfdata.storage.tags import OWN_COPY, Tags, first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import Trace, life
from mfext.fs.copy import copy
from mfext.supervision.exits import Exit, note_exit
from mfext.supervision.generation import generation, lock_file
from mfext.testing import temporary_home

STEP = Target("p", "main")
PID = 4_000_000


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


def claimed_by_a_dead_worker(places: Places, uid: str, name: bytes = b"file", worker: str = f"{PID}-a") -> Path:
    folder = places.work(STEP) / worker
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK).touch()
    path = folder / waiting_name(name)
    path.touch()
    write_tags(path, first_tags(uid, name, b"incoming"), places.sidecars)
    return path


def recovery_of(places: Places) -> Recovery:
    return Recovery(places, Trace(places.home, "observer"), max_crashes=3)


def claimed_again(places: Places, path: Path, number: int) -> Path:
    """The file *path*, which waits, in the hands of another worker that is dead."""
    under = path.parent.name.split("-", 2)[2:]
    folder = path.parent.with_name("-".join([str(PID), f"b{number}", *under]))
    folder.mkdir()
    (folder / LOCK).touch()
    return (places.queue(STEP) / path.name).rename(folder / path.name)


def noted(places: Places, end: Exit) -> None:
    now = time.time()
    note_exit(places.home, "step.p.main", replace(end, started=now, time=now + end.time - end.started))


def recovered(places: Places, end: Exit | None, times: int, worker: str = f"{PID}-a") -> str:
    """The uid of a file on which a worker ended like that so many times."""
    uid = new_uid()
    path = claimed_by_a_dead_worker(places, uid, worker=worker)
    recovery = recovery_of(places)
    for number in range(times):
        if end:
            noted(places, end)
        assert recovery.recover() == 1
        if not (places.queue(STEP) / path.name).exists():
            break
        path = claimed_again(places, path, number)
    return uid


def test_a_stop_that_does_not_wait_long_enough_says_nothing_against_the_file(places: Places) -> None:
    uid = recovered(places, Exit(PID, 0, 2, signal="SIGKILL", asked=True, overdue=True), 5)
    told = life(places.home, uid)
    assert [(event["event"], event["crashes"]) for event in told] == [("recovered", 0)] * 5
    assert told[0]["reason"] == "killed by SIGKILL, since it did not end in time when told to, 2.0 s after its start"
    (path,) = places.work(STEP).glob("*/5-*")
    assert "latest.core.crashes" not in read_tags(path, places.sidecars)


@pytest.mark.parametrize("asked", [False, True])
def test_whoever_else_dies_counts_against_the_file(places: Places, asked: bool) -> None:
    uid = recovered(places, Exit(PID, 0, 2, signal="SIGKILL", asked=asked), 5)
    assert [event["event"] for event in life(places.home, uid)] == ["recovered", "recovered", "quarantined"]
    (kept,) = quarantine.kept_files(places)
    assert kept.uid == uid


def test_a_file_is_not_to_blame_for_the_end_of_the_machine_or_of_the_supervisor(places: Places) -> None:
    """A power cut, a reboot, an arbiter that was killed: nobody noted how the worker ended."""
    gone = f"{'0' * 8}.{PID}.1"
    uid = recovered(places, None, 5, f"{PID}-a-{gone}")
    told = life(places.home, uid)
    assert [(event["event"], event["crashes"]) for event in told] == [("recovered", 0)] * 5
    assert "with its supervisor or with the machine" in told[0]["reason"]
    assert deaths(places.home, 3) == []


def test_what_the_supervisor_had_noted_before_it_ended_counts_all_the_same(places: Places) -> None:
    uid = recovered(places, Exit(PID, 0, 2, signal="SIGSEGV"), 5, f"{PID}-a-{'0' * 8}.{PID}.1")
    assert [event["event"] for event in life(places.home, uid)] == ["recovered", "recovered", "quarantined"]


def test_a_death_that_nobody_noted_counts_while_the_supervisor_lives(places: Places) -> None:
    lock_file(places.home).write_text(str(os.getpid()))
    uid = recovered(places, None, 5, f"{PID}-a-{generation(places.home)}")
    assert [event["event"] for event in life(places.home, uid)] == ["recovered", "recovered", "quarantined"]


def test_the_end_of_another_that_had_the_same_number_tells_nothing(places: Places) -> None:
    note_exit(places.home, "step.p.main", Exit(PID, 100, 200, signal="SIGKILL", asked=True, overdue=True))
    uid = recovered(places, None, 1)
    (event,) = life(places.home, uid)
    assert (event["crashes"], event["reason"]) == (1, "the worker died")


def test_how_a_worker_ended_is_known_though_the_clock_was_set_back_while_it_lived(places: Places) -> None:
    uid = new_uid()
    path = claimed_by_a_dead_worker(places, uid)
    ahead = time.time() + 10_800
    os.utime(path.parent / LOCK, (ahead, ahead))
    noted(places, Exit(PID, 0, 2, signal="SIGKILL", asked=True, overdue=True))
    assert recovery_of(places).recover() == 1
    (event,) = life(places.home, uid)
    assert event["crashes"] == 0
    assert "it did not end in time" in event["reason"]


def test_one_death_counts_once_though_who_recovers_dies_too(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = new_uid()
    path = claimed_by_a_dead_worker(places, uid)

    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    for _ in range(4):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", refuse)
            with pytest.raises(KeyboardInterrupt):
                recovery_of(places).recover()
    assert recovery_of(places).recover() == 1
    assert read_tags(places.queue(STEP) / path.name, places.sidecars)["latest.core.crashes"] == b"1"
    claimed_again(places, path, 1)
    assert recovery_of(places).recover() == 1
    assert read_tags(places.queue(STEP) / path.name, places.sidecars)["latest.core.crashes"] == b"2"


def test_a_file_is_not_to_blame_when_the_one_before_took_too_long(places: Places) -> None:
    uid = new_uid()
    path = claimed_by_a_dead_worker(places, uid)
    mark = {"kind": "timeout", "reason": "it took longer than timeout = 2 s", "file": waiting_name(b"before")}
    (path.parent / KILLED).write_text(json.dumps(mark))
    assert recovery_of(places).recover() == 1
    (event,) = life(places.home, uid)
    assert (event["crashes"], event["reason"]) == (0, "it took longer than timeout = 2 s, with the file before")


@pytest.mark.parametrize("name", [b"file.own", b"file.tx", b"file.commit", b"file.json"])
def test_a_file_may_be_called_like_what_a_worker_makes(places: Places, name: bytes) -> None:
    path = claimed_by_a_dead_worker(places, new_uid(), name)
    assert recovery_of(places).recover() == 1
    assert [one.name for one in places.queue(STEP).iterdir()] == [path.name]
    assert list(places.work(STEP).iterdir()) == []


def test_an_own_copy_that_was_not_finished_is_removed(places: Places) -> None:
    path = claimed_by_a_dead_worker(places, new_uid())
    path.with_name(f"{path.name}{OWN_COPY}").write_bytes(b"half")
    assert recovery_of(places).recover() == 1
    assert [one.name for one in places.queue(STEP).iterdir()] == [path.name]
    assert list(places.work(STEP).iterdir()) == []


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_somebody_put_into_a_queue_by_hand_is_not_deleted(places: Places, is_folder: bool) -> None:
    folder = claimed_by_a_dead_worker(places, new_uid()).parent
    stranger = folder / "by hand"
    if is_folder:
        stranger.mkdir()
        stranger /= "inner"
    stranger.write_bytes(b"precious")
    assert recovery_of(places).recover() == 1
    (kept,) = quarantine.kept_files(places)
    assert (kept.kind, kept.name) == ("stranger", "by hand")
    assert (kept.path / "inner" if is_folder else kept.path).read_bytes() == b"precious"
    assert list(places.work(STEP).iterdir()) == []


@pytest.mark.parametrize("fault", [OSError(errno.EIO, "the disk fails"), ValueError("not a number")])
def test_one_file_that_cannot_be_read_keeps_no_other_from_its_queue(
    places: Places, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = claimed_by_a_dead_worker(places, new_uid(), b"first")
    good = claimed_by_a_dead_worker(places, new_uid(), b"second")

    def read(path: Path, sidecars: Path) -> Tags:
        if path == bad:
            raise fault
        return read_tags(path, sidecars)

    monkeypatch.setattr("mfdata.recovery.recovery.read_tags", read)
    recovery_of(places).recover()
    assert bad.exists()
    assert [one.name for one in places.queue(STEP).iterdir()] == [good.name]
    monkeypatch.undo()
    assert recovery_of(places).recover() == 1
    assert not bad.parent.exists()


def test_a_worker_whose_folder_cannot_be_opened_keeps_no_other_from_recovery(places: Places) -> None:
    claimed_by_a_dead_worker(places, new_uid())
    for worker in ("3999999-a", "4000001-a"):
        (places.work(STEP) / worker).mkdir()
        (places.work(STEP) / worker / LOCK).symlink_to(LOCK)  # it leads to itself
    assert recovery_of(places).recover() == 1


def test_an_own_copy_is_on_disk_before_it_takes_the_place_of_the_file(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = claimed_by_a_dead_worker(places, new_uid())
    (places.home.path / "other").hardlink_to(path)
    synced: list[bool] = []

    def seen(source: Path, target: Path, *, sync: bool = False) -> None:
        synced.append(sync)
        copy(source, target, sync=sync)

    monkeypatch.setattr(tags, "copy", seen)
    assert Recovery(places, Trace(places.home, "observer"), max_crashes=3, durable=True).recover() == 1
    assert synced == [True]


# ── tags without a file ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def without_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no extended attributes, and no pause between two looks."""
    monkeypatch.setattr("mfdata.recovery.sweeper.EVERY_S", 0)
    monkeypatch.setattr("mfdata.recovery.sweeper.LOOK_COST", 0)

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
    orphans = OrphanTags(places)
    assert orphans.look() == 0
    assert orphans.look() == 2
    left = {path.name.removeprefix(f"{name}-") for path in places.sidecars.iterdir()}
    assert left == {"waits", "claimed", "committed", "kept", "delayed"}


@pytest.mark.usefixtures("without_attributes")
def test_tags_that_come_before_their_file_are_not_taken_for_orphans(places: Places) -> None:
    part, name = places.incoming / "incoming" / "file", waiting_name(b"file")
    tagged(part, places, name)
    orphans = OrphanTags(places)
    assert orphans.look() == 0
    places.queue(STEP).mkdir(parents=True)
    part.rename(places.queue(STEP) / name)
    assert orphans.look() == 0
    assert read_tags(places.queue(STEP) / name, places.sidecars)


def test_the_guardian_looks_for_orphans(places: Places) -> None:
    places.sidecars.mkdir(parents=True)
    (places.sidecars / "orphan").touch()
    trace = Trace(places.home, "observer")
    housekeeping = Housekeeping(places, Recovery(places, trace, max_crashes=3), dict)
    now = [time.monotonic()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfdata.recovery.sweeper.time.monotonic", lambda: now[0])
        housekeeping.look()
        assert (places.sidecars / "orphan").exists()
        now[0] += 601
        housekeeping.look()
    assert not (places.sidecars / "orphan").exists()
