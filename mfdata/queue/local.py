"""The local queue engine: directories and rename(2), no server.

A name in the queue's folder is a waiting file; renaming it into a worker's folder is the claim. The worker holds
a flock on a file in its folder for as long as it lives, which is how others tell that it died.

The folder is listed at first, and again while a listing does not hold all that waits. After one that does, events tell
all that comes, until the kernel says that it dropped some.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from inotify_simple import flags as inotify_flags
from inotify_simple import parse_events

from mfdata.queue.protocol import Claim
from mfdata.queue.worker_folder import WorkerFolder
from mfdata.storage.names import time_text, waiting_time
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import discard
from mfext.clock import age
from mfext.fs.inotify import new_inotify
from mfext.supervision.generation import generation

#: Names taken from one listing: bounds the memory, and is large enough to pay for listing a million files.
_LISTING = 32_768
#: A listing in hand is renewed after this many seconds, so that files of a higher priority overtake,
_RENEW_AFTER_S = 0.25
#: but no more often than this many times the cost of the listing.
_RENEW_COST = 20
#: Turns the order of numbers of one length round.
_CONTRARY = str.maketrans("0123456789", "9876543210")
#: No listing takes longer than this, in microseconds.
_MISSED_US = 10_000_000
#: So many bytes of events are looked at in one go.
_EVENTS, _LONGEST_EVENT = 1 << 16, 16 + 256
#: Events after which only a listing tells what waits.
_LOST = inotify_flags.Q_OVERFLOW | inotify_flags.IGNORED


class LocalQueue:
    """The queue of one step seen by one worker."""

    def __init__(self, places: Places, target: Target, *, newest_first: bool = False) -> None:
        self._newest_first = newest_first
        self._queue = os.fspath(places.queue(target))
        self._sidecars = places.sidecars
        os.makedirs(self._queue, exist_ok=True)
        self._worker = WorkerFolder(places.work(target), generation(places.home))
        self._work = os.fspath(self._worker.path)
        self._inotify = new_inotify(nonblocking=True)
        mask = inotify_flags.MOVED_TO | inotify_flags.CREATE | inotify_flags.ONLYDIR
        self._watch = self._inotify.add_watch(self._queue, mask)
        self._pending: list[str] = []  # reversed: the next one is last
        #: Whether all that waits is pending, or told by events that are not read yet.
        self._is_complete = False
        self._listed_at = 0.0
        self._renew_after = _RENEW_AFTER_S

    def watch(self, folder: Path) -> None:
        """Let changes in another folder end :meth:`wait` too."""
        self._inotify.add_watch(os.fspath(folder), inotify_flags.MOVED_TO | inotify_flags.ONLYDIR)

    def claim(self) -> Claim | None:
        if self._pending and time.monotonic() - self._listed_at > self._renew_after:
            self._renew()
        while True:
            while self._pending:
                name = self._pending.pop()
                path = f"{self._work}/{name}"
                try:
                    os.rename(f"{self._queue}/{name}", path)
                except FileNotFoundError:
                    continue  # another worker was faster
                return Claim(name, path)
            if not self._look():
                return None

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def settle(self, claim: Claim) -> None:
        discard(claim.place, self._sidecars)

    def release(self, claim: Claim) -> None:
        os.rename(claim.place, f"{self._queue}/{claim.name}")
        self._pending.append(claim.name)  # it is the next one again

    def depth(self) -> int:
        return sum(1 for _ in self._names())

    def oldest(self) -> float | None:
        first = min(self._names(), default=None)
        return None if first is None else age(int(first.split("-", 2)[1]) / 1e6)

    def close(self) -> None:
        self._inotify.close()
        self._worker.close()

    def _names(self) -> Iterator[str]:
        with os.scandir(self._queue) as entries:
            yield from (entry.name for entry in entries if not entry.name.startswith("."))

    def _look(self) -> bool:
        """Find out what waits when nothing is pending; whether that is anything."""
        if self._is_complete:
            names = self._names_in_events()
            if self._is_complete:
                self._take_up(sorted(names, key=_newest_first if self._newest_first else None))
                return bool(names)
        self._forget_events()
        self._list()
        return bool(self._pending)

    def _names_in_events(self) -> list[str]:
        """The names that events tell, which are read away; more than fit are left to a listing."""
        try:
            data = os.read(self.fileno(), _EVENTS)
        except BlockingIOError:
            return []
        events = parse_events(data)
        if len(data) > _EVENTS - _LONGEST_EVENT or any(event.mask & _LOST for event in events):
            self._is_complete = False
        return [event.name for event in events if event.wd == self._watch and not event.name.startswith(".")]

    def _list(self) -> None:
        """Take the first names of one listing."""
        start = time.monotonic()
        names = self._first_names()
        self._take_up(names)
        self._renew_after = max(_RENEW_AFTER_S, _RENEW_COST * (self._listed_at - start))

    def _take_up(self, names: list[str]) -> None:
        """Let *names*, in their order, be the next ones, those of this worker's slice first."""
        if len(names) > 1:
            names = self._own_slice_first(names)
        names.reverse()
        self._pending = names
        self._listed_at = time.monotonic()

    def _first_names(self) -> list[str]:
        if self._newest_first:
            found = heapq.nsmallest(_LISTING, self._names(), key=_newest_first)
            self._is_complete = len(found) < _LISTING
            return found
        names, earlier = self._names_before_now()
        if names and not earlier:
            names, earlier = self._names_before_now()
        found = earlier or names
        self._is_complete = len(found) == len(names) < _LISTING
        return found

    def _names_before_now(self) -> tuple[list[str], list[str]]:
        """The first names, and those of them that were given before they were listed.

        A listing may miss a name that came during it, and yet have one that came after that. What is from further in
        the future was named by a clock that has been set back since.
        """
        start = time.time_ns() // 1000
        now, future = time_text(start), time_text(start + _MISSED_US)
        names = heapq.nsmallest(_LISTING, self._names())
        return names, [name for name in names if not now < waiting_time(name) < future]

    def _own_slice_first(self, names: list[str]) -> list[str]:
        """*names* in order, but in each priority those of this worker before the others': workers then seldom race."""
        folder, own_name = os.path.split(self._work)
        workers = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        count = len(workers)
        if count == 1:
            return names
        rank = workers.index(own_name)
        own: list[str] = []
        others: list[str] = []
        for name in names:
            # The random part of the name (at 19..30) spreads the files over the workers, the same way for all.
            (own if int(name[19:25], 16) % count == rank else others).append(name)
        own += others
        if names[0][0] != names[-1][0]:
            own.sort(key=_priority)
        return own

    def _renew(self) -> None:
        if self._forget_events():
            self._list()
        else:
            self._listed_at = time.monotonic()

    def _forget_events(self) -> bool:
        """Read away all events, each of which only says that a listing is worth while; whether there were any."""
        had_events = False
        with suppress(BlockingIOError):
            while os.read(self.fileno(), _EVENTS):
                had_events = True
        return had_events


def _priority(name: str) -> str:
    return name[0]


def _newest_first(name: str) -> tuple[str, str]:
    return name[:1], name[2:18].translate(_CONTRARY)
