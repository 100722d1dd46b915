"""Orphans: tags in a sidecar whose file is not there: a process died between the two. They are looked for, and end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mfdata.file import discard
from mfdata.storage.names import undelayed
from mfdata.storage.places import Places
from mfext.log import get_logger

log = get_logger(__name__)

#: Between two looks, and at least so many times what a look costs.
_EVERY_S = 600.0
_LOOK_COST = 100
#: Sidecars of one look: bounds the memory with a million files on a disk that has no attributes.
_AT_ONCE = 10_000


class Orphans:
    """Looks for them, for one process.

    Files move while they are looked for, and a sidecar comes before its file: so the folders are walked twice in the
    order in which files go, and only what was without a file in two looks, minutes apart, is an orphan.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._look_at = time.monotonic()
        self._suspects: set[str] = set()
        self._names: Iterator[str] = iter(())

    def look(self) -> int:
        """Discard the orphans, if it is time to look; how many they were."""
        start = time.monotonic()
        if start < self._look_at:
            return 0
        without = self._next()
        if without:
            for _ in range(2):
                without -= set(self._borne(without))
        orphans = without & self._suspects
        for name in orphans:
            discard(self._places.sidecars / name, self._places.sidecars)
        if orphans:
            log.warning("tags that belong to no file are discarded", sidecars=len(orphans), one_of_them=min(orphans))
        self._suspects = without - orphans
        now = time.monotonic()
        self._look_at = now + max(_EVERY_S, _LOOK_COST * (now - start))
        return len(orphans)

    def _next(self) -> set[str]:
        """The sidecars to look at: those under suspicion, and the next ones."""
        found = set(islice(self._names, _AT_ONCE))
        if not found:
            self._names = _names_in(self._places.sidecars)
            found = set(islice(self._names, _AT_ONCE))
        return found | self._suspects

    def _borne(self, names: set[str]) -> Iterator[str]:
        """Those of *names* that a file bears."""
        places = self._places
        for step in _names_in(places.incoming):
            if step.startswith("step."):
                yield from names.intersection(_names_in(places.incoming / step))
        for _, _, files in os.walk(places.works):  # transactions, too, where files have their next names
            yield from names.intersection(files)
        for step in _names_in(places.delays):
            yield from names.intersection(undelayed(name) for name in _names_in(places.delays / step))
            yield from names.intersection(_names_in(places.delays / step))
        for step in _names_in(places.quarantines):
            yield from names.intersection(_names_in(places.quarantines / step))


def _names_in(folder: Path) -> Iterator[str]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name
