"""The gauge on real folders, and the observer that pauses and goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mfdata.config import Pressure
from mfdata.intake.backpressure import Gauge, pause, refusal
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfext.environment import Home
from mfext.mainloop import ready_file
from mfext.testing import temporary_home, wait_until
from tests.integration.mfdata.intake.test_observer import Observer

SWITCH = Target("switch", "main")
FULL = Pressure(min_free=1 << 62, min_free_percent=100)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = temporary_home(tmp_path)
    Places(home).queue(SWITCH).mkdir(parents=True)
    return home


def wait_in_queue(home: Home, count: int) -> None:
    for _ in range(count):
        (Places(home).queue(SWITCH) / waiting_name(b"x")).touch()


def waiting(home: Home) -> list[Path]:
    return list(Places(home).queue(SWITCH).iterdir())


def test_the_gauge_counts_what_waits_and_tells_the_receivers(home: Home) -> None:
    gauge = Gauge(Places(home), Pressure(max_waiting=5))
    assert gauge.look() is False
    wait_in_queue(home, 6)
    assert wait_until(gauge.look)
    assert gauge.reason == "6 files wait (max_waiting = 5)"
    assert pause(home)["reason"] == gauge.reason == refusal(Places(home), Pressure())
    for path in waiting(home)[:3]:
        path.unlink()
    assert wait_until(gauge.look)
    assert (gauge.reason, pause(home), refusal(Places(home), Pressure())) == ("", {}, "")


def test_files_are_counted_while_they_are_taken(home: Home) -> None:
    gauge = Gauge(Places(home), Pressure(max_waiting=5))
    gauge.look()
    taken = 0
    while not gauge.took_one():
        taken += 1
        wait_in_queue(home, 1)
        assert taken < 100_000
    assert gauge.reason
    assert taken > 5


def test_a_receiver_sees_itself_that_the_disk_is_full(home: Home) -> None:
    assert "bytes are free" in refusal(Places(home), FULL)


def test_what_a_process_told_that_is_gone_is_forgotten(home: Home) -> None:
    assert Gauge(Places(home), FULL).look()
    assert pause(home)
    Gauge(Places(home), Pressure())
    assert pause(home) == {}


def test_the_observer_pauses_loudly_and_goes_on_when_the_pressure_is_gone(home: Home) -> None:
    incoming = Places(home).incoming / "incoming"
    incoming.mkdir()
    observer = Observer(home, "[pressure]\nmax_waiting = 120\n")
    try:
        for number in range(200):
            (incoming / f"file{number}").write_bytes(b"content")
        wait_until(lambda: fact(observer), what="the pause is told")
        assert "max_waiting = 120" in fact(observer)
        (said,) = observer.said("intake pauses")
        assert said["reason"] == fact(observer) == pause(home)["reason"]
        there, taken = len(list(incoming.iterdir())), len(waiting(home))
        assert there + taken == 200
        assert there > 0
        assert wait_until(lambda: take_away(home), what="all files are taken") <= 200
        wait_until(lambda: not fact(observer), what="the end of the pause is told")
        assert list(incoming.iterdir()) == []
        assert observer.said("intake goes on")
        assert pause(home) == {}
    finally:
        observer.kill()


def take_away(home: Home) -> int:
    """Do the work of the steps; how many files that were, once none is left in the incoming directory."""
    found = waiting(home)
    for path in found:
        path.unlink()
    return len(found) if not any((Places(home).incoming / "incoming").iterdir()) else 0


def fact(observer: Observer) -> str:
    facts = json.loads(ready_file(observer.home, "observer", observer.process.pid).read_bytes())
    return str(facts.get("pressure", ""))
