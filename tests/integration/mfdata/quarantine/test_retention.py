"""What has been in quarantine for too long is deleted, with a line, and nothing else is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from mfdata.quarantine.quarantine import REASON, keep, kept_files
from mfdata.quarantine.retention import Expiry
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import first_tags, new_uid, uid_of, write_tags
from mfdata.storage.trace import Trace, events
from mfext.testing import temporary_home, wait_until
from tests.integration.mfdata.intake.test_observer import Observer

STEP = Target("p", "main")
DAY = 86400.0


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


def kept(places: Places, age: float, file_age: float | None = None) -> str:
    folder = places.work(STEP) / "1-a"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / waiting_name(b"some.png")
    path.write_bytes(b"content")
    tags = first_tags(new_uid(), b"some.png", b"incoming")
    write_tags(path, tags, places.sidecars)
    then = time.time() - age
    where = keep(places, path, STEP, tags, {"kind": "failed", "reason": "broken", "time": then})
    written = time.time() - (age if file_age is None else file_age)
    os.utime(f"{where}{REASON}", (written, written))
    return uid_of(tags)


def expiry(places: Places, lifetime: float) -> Expiry:
    return Expiry(places, Trace(places.home, "observer"), lifetime)


def there(places: Places) -> set[str]:
    return {one.uid for one in kept_files(places)}


def test_a_file_that_is_too_old_is_deleted_and_the_line_names_the_rule(places: Places) -> None:
    old, young = kept(places, 2 * DAY), kept(places, DAY / 2)
    assert expiry(places, DAY).look() == 1
    assert there(places) == {young}
    (event,) = events(places.home)
    told = {key: event[key] for key in ("event", "uid", "name", "plugin", "step", "rule", "reason")}
    assert told == {
        "event": "expired",
        "uid": old,
        "name": "some.png",
        "plugin": "p",
        "step": "main",
        "rule": "[quarantine] lifetime = 86400 s",
        "reason": "it was failed: broken",
    }
    assert len(list(places.quarantine(STEP).iterdir())) == 2


def test_by_default_nothing_expires(places: Places) -> None:
    uid = kept(places, 10_000 * DAY)
    assert expiry(places, 0).look() == 0
    assert there(places) == {uid}


def test_a_file_that_came_from_elsewhere_a_moment_ago_is_as_young_as_its_reason(places: Places) -> None:
    uid = kept(places, 10 * DAY, file_age=0)
    assert expiry(places, DAY).look() == 0
    assert there(places) == {uid}


def test_a_file_whose_reason_cannot_be_read_is_as_old_as_that(places: Places) -> None:
    kept(places, 0)
    (path,) = places.quarantine(STEP).glob("*.json")
    path.write_text("{")
    assert expiry(places, DAY).look() == 0
    os.utime(path, (1, 1))
    assert expiry(places, DAY).look() == 1


def test_a_clock_that_is_set_ahead_lets_nothing_expire(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = kept(places, 0)
    one = expiry(places, DAY)
    assert one.look() == 0
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 400 * DAY)
    assert [one.look() for _ in range(3)] == [0, 0, 0]
    assert there(places) == {uid}


def test_a_machine_that_wakes_up_with_a_wrong_clock_lets_nothing_expire_at_once(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = kept(places, 2 * DAY), kept(places, 0)
    assert expiry(places, DAY).look() == 1
    assert there(places) == {young}, old
    now, up = time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: now() + 400 * DAY)
    after = expiry(places, DAY)
    assert [after.look() for _ in range(3)] == [0, 0, 0]
    assert there(places) == {young}
    monkeypatch.setattr(time, "monotonic", lambda: up() + 3601)
    monkeypatch.setattr(time, "time", lambda: now() + 400 * DAY + 3601)
    assert after.look() == 1, "after an hour the clock is believed"


def test_the_observer_lets_files_expire(places: Places) -> None:
    kept(places, 100.0)
    observer = Observer(places.home, "[quarantine]\nlifetime = 50\n")
    try:
        wait_until(lambda: not there(places), what="the file has expired")
        assert [event["event"] for event in events(places.home)] == ["expired"]
    finally:
        observer.kill()


def test_reasons_hold_the_time_at_which_a_file_was_put_there(places: Places) -> None:
    kept(places, 0)
    (path,) = places.quarantine(STEP).glob("*.json")
    assert json.loads(path.read_bytes())["time"] == pytest.approx(time.time(), abs=60)
