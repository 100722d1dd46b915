"""Delays: files that wait for a retry go back to their queues when it is due.

A delayed file has its due time, in microseconds, in front of its waiting name.
"""

from __future__ import annotations

import heapq
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mfdata.storage.folder_listing import Names, settled_mtime
from mfdata.storage.names import due_time, is_delayed, undelayed
from mfdata.storage.places import Places, target_of_folder
from mfext.clock import is_from_the_future
from mfext.log import get_logger

log = get_logger(__name__)

#: Names of due files taken from one listing: bounds the memory with a million files waiting.
_LISTING = 10_000
#: A folder that changes all the time is listed no more often than this many times what a listing costs.
_RENEW_COST = 20
#: A clock that went back by more than this was set.
_CLOCK_SET_S = 1.0


@dataclass
class _Delayed:
    """What is known of one folder of delayed files."""

    #: Its time of change when it was listed; None = it was not, or may have changed since without showing.
    modified: int | None = None
    #: The first names, in order of their due times.
    names: list[str] = field(default_factory=list)
    #: There were more of them.
    more: bool = False
    list_again_at: float = 0.0


class Delays:
    """Brings delayed files back to their queues when they are due.

    Due times are of the wall clock, for they outlast restarts. When that clock is set back, everything that waits
    goes back at once: an early try does no harm, one that comes a year late does.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._steps = Names(os.fspath(places.delays))
        self._folders: dict[str, _Delayed] = {}
        self._ahead = time.time() - time.monotonic()

    def put_back(self) -> int:
        """Put back what is due; how many files that were."""
        was_set_back = self._was_set_back()
        if was_set_back:
            log.warning("the clock was set back: every file that waits for a retry is tried now")
        count, fault = 0, None
        for step in self._steps.now():
            try:
                count += self._put_back_early(step, all_of_them=was_set_back) + self._put_back(step)
            except OSError as error:
                fault = error  # the files of the other steps are no worse for it
        if fault:
            raise fault
        return count

    def _was_set_back(self) -> bool:
        before, self._ahead = self._ahead, time.time() - time.monotonic()
        return self._ahead < before - _CLOCK_SET_S

    def _put_back_early(self, step: str, *, all_of_them: bool) -> int:
        """Put back what was delayed by a clock that has been set back since: now, or before this process began."""
        folder = f"{self._steps.folder}/{step}"
        if folder in self._folders and not all_of_them:
            return 0
        self._folders[folder] = _Delayed()
        queue = self._places.queue(target_of_folder(step))
        count, now = 0, time.time()
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if (
                    is_delayed(entry.name)
                    and due_time(entry.name) > now
                    and (all_of_them or _is_from_the_future(entry.path))
                ):
                    _rename_back(Path(entry.path), queue)
                    count += 1
        return count

    def _put_back(self, step: str) -> int:
        """Put back what is due."""
        folder = f"{self._steps.folder}/{step}"
        known = self._folders.setdefault(folder, _Delayed())
        self._refresh(folder, known)
        if not known.names:
            return 0
        now, due = time.time(), 0
        while due < len(known.names) and due_time(known.names[due]) <= now:
            due += 1
        queue = self._places.queue(target_of_folder(step))
        for name in known.names[:due]:
            _rename_back(Path(folder, name), queue)
        known.names = known.names[due:]
        return due

    def _refresh(self, folder: str, known: _Delayed) -> None:
        """List *folder* if it may have changed since, and if that does not cost too much."""
        modified, start = settled_mtime(folder), time.monotonic()
        is_known = modified is not None and modified == known.modified and (known.names or not known.more)
        if is_known or (known.names and start < known.list_again_at):
            return
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            known.names = heapq.nsmallest(_LISTING, (one.name for one in entries if is_delayed(one.name)))
        known.modified, known.more = modified, len(known.names) == _LISTING
        known.list_again_at = start + _RENEW_COST * (time.monotonic() - start)


def _is_from_the_future(path: str) -> bool:
    """Whether *path* was put where it is by a clock that has been set back since."""
    with suppress(FileNotFoundError):
        return is_from_the_future(os.lstat(path).st_ctime)
    return False


def _rename_back(path: Path, queue: Path) -> None:
    waiting = queue / undelayed(path.name)
    try:
        path.rename(waiting)
    except FileNotFoundError:
        if path.exists():
            queue.mkdir(parents=True, exist_ok=True)
            path.rename(waiting)
