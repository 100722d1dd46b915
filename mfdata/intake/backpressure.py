"""Backpressure: intake pauses when too much waits or too little disk is free; between watermarks nothing changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mfdata.config import Pressure
from mfdata.storage.folder_listing import names_in
from mfdata.storage.places import Places
from mfext.clock import age
from mfext.disk import Disk, Watermarks
from mfext.environment import Home
from mfext.fs.atomic import replace_file

#: Waiting files are counted no more often than this many times what counting costs.
_COUNT_COST = 20
#: Free inodes that are enough on any disk.
_MIN_FREE_FILES = 10_000
#: Part of max_waiting below which intake goes on, where resume_waiting is not given.
_RESUME_WAITING = 0.8


def reason_to_pause(settings: Pressure, waiting: int, disk: Disk, *, was: bool) -> str:
    """Why intake pauses; '' when it does not (pure).

    Args:
        settings: the watermarks.
        waiting: files in all queues.
        disk: where files and traces are.
        was: it pauses already, and goes on when all is well below the low watermarks.
    """
    if settings.max_waiting:
        low = settings.resume_waiting or int(settings.max_waiting * _RESUME_WAITING)
        if waiting > (min(low, settings.max_waiting) if was else settings.max_waiting):
            return f"{waiting} files wait (max_waiting = {settings.max_waiting})"
    watermarks = Watermarks(settings.min_free, _MIN_FREE_FILES, settings.min_free_percent, settings.resume_free)
    return watermarks.reason(disk, was=was)


class Gauge:
    """Looks at the watermarks for the one process that takes files in, and tells the others."""

    def __init__(self, places: Places, settings: Pressure) -> None:
        self.reason = ""
        self._places = places
        self._settings = settings
        self._waiting = 0
        self._count_at = 0.0
        #: So many more may be taken before waiting files are to be counted.
        self._room = 0 if settings.max_waiting else 1 << 62
        with suppress(OSError):
            _record_path(places.home).unlink(missing_ok=True)

    def took_one(self) -> bool:
        """A file was taken; whether :attr:`reason` has changed."""
        self._room -= 1
        return self._room < 0 and self.look()

    def look(self) -> bool:
        """Look at disk and queues; whether :attr:`reason` has come or gone."""
        before = self.reason
        self._count()
        self.reason = _reason(self._places, self._settings, self._waiting, was=bool(before))
        if bool(before) == bool(self.reason):
            return False
        self._write_record()
        return True

    def _count(self) -> None:
        start = time.monotonic()
        if self._settings.max_waiting and start >= self._count_at:
            self._waiting = sum(1 for _ in _waiting(self._places))
            self._room = self._settings.max_waiting - self._waiting
            now = time.monotonic()
            self._count_at = now + _COUNT_COST * (now - start)

    def _write_record(self) -> None:
        """Write for the receivers why nothing is taken; on a full disk they see that themselves."""
        path = _record_path(self._places.home)
        with suppress(OSError):
            if not self.reason:
                path.unlink(missing_ok=True)
                return
            replace_file(path, json.dumps({"reason": self.reason, "since": time.time()}))


def pause(home: Home) -> dict[str, Any]:
    """Why intake pauses, and for how many seconds it has done so; {} when it does not."""
    with suppress(OSError, ValueError, KeyError):
        record = json.loads(_record_path(home).read_bytes())
        return {"reason": record["reason"], "seconds": round(age(record["since"]), 1)}
    return {}


def refusal(places: Places, settings: Pressure) -> str:
    """Why a receiver lets nothing in now; '' when it does."""
    return str(pause(places.home).get("reason", "")) or _reason(places, settings, 0, was=False)


def _reason(places: Places, settings: Pressure, waiting: int, *, was: bool) -> str:
    for folder in (places.home.var, places.home.log):
        with suppress(FileNotFoundError):
            found = reason_to_pause(settings, waiting, Disk.of(folder), was=was)
            if found:
                return found
    return ""


def _waiting(places: Places) -> Iterator[str]:
    for name in names_in(places.incoming):
        if name.startswith("step."):
            yield from names_in(places.incoming / name)


def _record_path(home: Home) -> Path:
    return home.run / "pressure.json"
