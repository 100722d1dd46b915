"""Unfinished: the copies of injections that were killed before the file was in its queue. They are looked for, and end.

Who injects has the file still, since it goes last: so what was begun is taken back, in the trace as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.file import File, decode_tags, discard, forget_sidecar, read_tags, uid_of
from mfdata.storage.places import Places
from mfdata.storage.trace import Trace
from mfext.log import get_logger

log = get_logger(__name__)

#: Between two looks: what has not changed for so long is nobody's.
_EVERY_S = 600.0
#: Comes before the waiting name of what is being taken back; the others have a dot there.
_GONE = ".gone-"
_REASON = "who injected it ended before it was in its queue"

#: Inode, and time of change in nanoseconds.
_Identity = tuple[int, int]


class Unfinished:
    """Looks for them, for one process."""

    def __init__(self, places: Places, trace: Trace) -> None:
        self._places = places
        self._trace = trace
        self._look_at = time.monotonic()
        self._suspects: dict[Path, _Identity] = {}

    def look(self) -> int:
        """Remove those that have not changed since the last look, if it is time to look; how many that were."""
        if time.monotonic() < self._look_at:
            return 0
        before, self._suspects = self._suspects, dict(_copies(self._places.intake))
        count = 0
        for path, identity in self._suspects.items():
            if before.get(path) == identity:
                with suppress(FileNotFoundError):  # it lives, and was done in this moment
                    self._take_back(path)
                    count += 1
        self._look_at = time.monotonic() + _EVERY_S
        return count

    def _take_back(self, path: Path) -> None:
        # Whoever has this name does not get it into a queue any more.
        waiting = path.name.removeprefix(_GONE).lstrip(".")
        gone = path.rename(path.with_name(_GONE + waiting))
        tags = read_tags(gone, self._places.sidecars)
        with suppress(FileNotFoundError):
            tags = tags or decode_tags((self._places.sidecars / waiting).read_bytes())
        if tags:
            told = {"uid": uid_of(tags), "name": File(gone, tags).basename, "file": waiting, "reason": _REASON}
            self._trace.write({"event": "ignored", **told})
        log.warning("an injection that was not finished is taken back", file=waiting)
        forget_sidecar(self._places.sidecars, waiting)
        discard(gone, self._places.sidecars)


def _copies(folder: Path) -> Iterator[tuple[Path, _Identity]]:
    with suppress(FileNotFoundError):
        for path in folder.glob(".*"):
            with suppress(FileNotFoundError):
                status = path.lstat()
                yield path, (status.st_ino, status.st_ctime_ns)
