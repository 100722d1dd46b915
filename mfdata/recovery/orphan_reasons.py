"""Reasons: each file in quarantine has one, and each reason has its file, whoever died between the two."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mfdata.file import File, read_tags, uid_of
from mfdata.quarantine.quarantine import REASON, forget_reason, turn, write_reason
from mfdata.storage.places import Places, target_of_folder
from mfext.errors import Conflict
from mfext.log import get_logger

log = get_logger(__name__)

#: Between two looks, and at least so many times what a look costs.
_EVERY_S = 600.0
_LOOK_COST = 100
#: Names of one look: bounds the time and the memory with a million files.
_AT_ONCE = 10_000
_LOST = "its reason was lost; mfdata.trace may tell why it was kept"

#: Which file a name stands for: inode and time of change.
_Identity = tuple[int, int]


class Reasons:
    """Looks at them, for one process.

    A reason comes before its file and goes after it: so one without a file ends when it was so in two looks, minutes
    apart.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._look_at = time.monotonic()
        self._suspects: dict[Path, _Identity] = {}
        self._names: Iterator[Path] = iter(())

    def look(self) -> int:
        """Mend what is to be mended, if it is time to look; how many files or reasons that were."""
        start = time.monotonic()
        if start < self._look_at or not self._places.quarantines.is_dir():
            return 0
        count = 0
        with suppress(Conflict), turn(self._places, wait=0.0):  # otherwise somebody is at work: another time
            count = self._mend()
        now = time.monotonic()
        self._look_at = now + max(_EVERY_S, _LOOK_COST * (now - start))
        return count

    def _mend(self) -> int:
        before, self._suspects = self._suspects, {}
        alone = [*before, *(path for path in self._next() if path not in before and _is_alone(path))]
        count = 0
        for path in alone:
            if path.name.endswith(REASON) and not _has_tags(path, self._places):
                count += self._without_file(path, before.get(path))
            else:
                count += self._without_reason(path)
        return count

    def _next(self) -> list[Path]:
        found = list(islice(self._names, _AT_ONCE))
        if not found:
            self._names = (path for folder in _visible(self._places.quarantines) for path in _visible(folder))
            found = list(islice(self._names, _AT_ONCE))
        return found

    def _without_file(self, reason: Path, before: _Identity | None) -> bool:
        """Remove *reason* if it was alone *before*; whether that was done."""
        kept = reason.with_name(reason.name.removesuffix(REASON))
        with suppress(FileNotFoundError):
            status = reason.stat()
            identity = status.st_ino, status.st_ctime_ns
            if before == identity and not os.path.lexists(kept):
                forget_reason(kept)
                log.info("a reason in quarantine that belongs to no file is removed", reason=str(reason))
                return True
            if not os.path.lexists(kept):
                self._suspects[reason] = identity
        return False

    def _without_reason(self, path: Path) -> bool:
        """Give the file at *path* a reason, so that it is seen; whether it had none."""
        if not os.path.lexists(path) or os.path.lexists(f"{path}{REASON}"):
            return False
        target = target_of_folder(path.parent.name)
        tags = read_tags(path, self._places.sidecars)
        own = {"plugin": target.plugin, "step": target.step, "uid": uid_of(tags), "name": File(path, tags).basename}
        write_reason(path, {**own, "time": time.time(), "kind": "unknown", "reason": _LOST})
        log.warning("a file in quarantine had lost its reason", file=str(path), uid=uid_of(tags))
        return True


def _is_alone(path: Path) -> bool:
    """Whether *path* is neither a file with a reason nor the reason of a file."""
    if os.path.lexists(f"{path}{REASON}"):
        return False
    return not (path.name.endswith(REASON) and os.path.lexists(path.with_name(path.name.removesuffix(REASON))))


def _has_tags(path: Path, places: Places) -> bool:
    with suppress(OSError, ValueError):
        return bool(read_tags(path, places.sidecars))
    return False


def _visible(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        yield from (folder / entry.name for entry in entries if not entry.name.startswith("."))
