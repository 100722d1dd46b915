"""Once a second: what is due, what is stuck."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfdata.queue.delayed import Delays
from mfdata.recovery.housekeeping import Housekeeping
from mfdata.recovery.recovery import Recovery
from mfdata.recovery.watchdog import Watch
from mfdata.storage.names import waiting_name
from mfdata.storage.places import LOCK, Places, Target
from mfdata.storage.trace import Trace
from mfext.testing import temporary_home, wait_until

STEP = Target("p", "main")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


def delay(places: Places, seconds: float, name: bytes = b"file") -> Path:
    folder = places.delayed(STEP)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{int((time.time() + seconds) * 1e6):016d}-{waiting_name(name)}"
    path.touch()
    return path


def waiting(places: Places) -> list[str]:
    queue = places.queue(STEP)
    return sorted(path.name for path in queue.iterdir()) if queue.is_dir() else []


def test_due_files_go_back_under_their_old_names(places: Places) -> None:
    due, later = delay(places, -1), delay(places, 60)
    assert Delays(places).put_back() == 1
    assert waiting(places) == [due.name[17:]]
    assert later.exists()


def test_a_step_whose_folder_cannot_be_read_keeps_no_other_from_its_retries(places: Places) -> None:
    delay(places, -1)
    for name in ("a.broken", "z.broken"):
        (places.delays / name).symlink_to(name)  # it leads to itself
    with pytest.raises(OSError, match="symbolic links"):
        Delays(places).put_back()
    assert len(waiting(places)) == 1


def test_a_file_that_comes_later_and_is_due_sooner_is_seen(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfdata.queue.delayed._RENEW_COST", 0)  # that is for listings that take long
    delays = Delays(places)
    delay(places, 60)
    assert delays.put_back() == 0
    delay(places, -1)
    assert delays.put_back() == 1


def test_a_folder_in_which_nothing_changes_is_not_listed(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    delays = Delays(places)
    delay(places, 60)
    os.utime(places.delayed(STEP), (1, 1))
    delays.put_back()
    monkeypatch.setattr("mfdata.queue.delayed.heapq.nsmallest", lambda count, names: pytest.fail("it was listed"))
    assert delays.put_back() == 0


def test_more_files_than_one_listing_holds_all_go_back(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfdata.queue.delayed._LISTING", 3)
    monkeypatch.setattr("mfdata.queue.delayed._RENEW_COST", 0)
    delays = Delays(places)
    for _ in range(10):
        delay(places, -1)
    assert [delays.put_back() for _ in range(5)] == [3, 3, 3, 1, 0]


def test_when_the_clock_is_set_back_all_go_back_at_once(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    delays = Delays(places)
    delay(places, 60)
    assert delays.put_back() == 0
    real = time.time
    monkeypatch.setattr("mfdata.queue.delayed.time.time", lambda: real() - 3600)
    assert delays.put_back() == 1


def test_files_that_were_delayed_by_a_clock_that_was_ahead_go_back(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfdata.queue.delayed._LISTING", 3)
    for _ in range(10):
        delay(places, 60)
    real = time.time
    monkeypatch.setattr("mfdata.queue.delayed.time.time", lambda: real() - 3600)
    assert Delays(places).put_back() == 10


def test_other_names_in_a_folder_of_delayed_files_are_left_alone(places: Places) -> None:
    delay(places, -1)
    (places.delayed(STEP) / ".hidden").touch()
    (places.delayed(STEP) / "notes").touch()
    assert Delays(places).put_back() == 1
    assert len(list(places.delayed(STEP).iterdir())) == 2


# ── stuck workers ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def worker(places: Places) -> Iterator[Path]:
    """The folder of a live worker that has a file in hand and does nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        folder = places.work(STEP) / f"{os.getpid()}-a"
        folder.mkdir(parents=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / waiting_name(b"file")).touch()
        os.write(writer, b"x")
        while True:
            time.sleep(60)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    yield places.work(STEP) / f"{child}-a"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_who_has_a_file_for_too_long_is_killed(places: Places, worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("mfdata.recovery.watchdog.time.monotonic", lambda: now[0])
    watch = Watch(places, lambda: {STEP: 10.0})
    assert watch.kill_stuck() == []
    now[0] += 10
    assert watch.kill_stuck() == []
    now[0] += 1
    assert watch.kill_stuck() == [int(worker.name.partition("-")[0])]
    told = json.loads((worker / "killed").read_text())
    assert told["kind"] == "timeout"
    assert told["reason"] == "it took longer than timeout = 10 s"


def test_a_new_file_has_a_new_time(places: Places, worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("mfdata.recovery.watchdog.time.monotonic", lambda: now[0])
    watch = Watch(places, lambda: {STEP: 10.0})
    watch.kill_stuck()
    now[0] += 8
    (file,) = (path for path in worker.iterdir() if path.name != LOCK)
    file.rename(worker / waiting_name(b"file"))
    watch.kill_stuck()
    now[0] += 8
    assert watch.kill_stuck() == []


@pytest.mark.parametrize("timeouts", [{}, {STEP: 0.0}])
def test_without_a_timeout_nobody_is_killed(
    places: Places, worker: Path, monkeypatch: pytest.MonkeyPatch, timeouts: dict[Target, float]
) -> None:
    now = [100.0]
    monkeypatch.setattr("mfdata.recovery.watchdog.time.monotonic", lambda: now[0])
    watch = Watch(places, lambda: timeouts)
    watch.kill_stuck()
    now[0] += 1e9
    assert watch.kill_stuck() == []


def test_a_process_that_has_got_the_number_of_a_dead_worker_is_not_killed(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = places.work(STEP) / f"{os.getpid()}-a"
    folder.mkdir(parents=True)
    (folder / LOCK).touch()
    (folder / waiting_name(b"file")).touch()
    now = [100.0]
    monkeypatch.setattr("mfdata.recovery.watchdog.time.monotonic", lambda: now[0])
    watch = Watch(places, lambda: {STEP: 1.0})
    watch.kill_stuck()
    now[0] += 5
    assert watch.kill_stuck() == []


def test_timeouts_are_asked_for_only_when_a_worker_is_new(places: Places, worker: Path) -> None:
    asked = []

    def timeouts() -> dict[Target, float]:
        asked.append(1)
        return {STEP: 10.0}

    watch = Watch(places, timeouts)
    watch.kill_stuck()
    watch.kill_stuck()
    assert len(asked) == 1


def test_trouble_with_one_thing_does_not_keep_it_from_the_others(places: Places) -> None:
    trace = Trace(places.home, "observer")
    guarding = Housekeeping(places, Recovery(places, trace, max_crashes=3), dict)
    path = delay(places, -1)
    places.queue(STEP).parent.mkdir(parents=True)
    places.queue(STEP).touch()  # no folder: nothing can be put into it
    guarding.look()
    assert path.exists()
    places.queue(STEP).unlink()
    guarding.look()
    wait_until(lambda: waiting(places), what="the file waits")
