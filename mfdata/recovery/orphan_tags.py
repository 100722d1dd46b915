"""Orphan tags: tags in a sidecar whose file is not there, since a process died between the two."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mfdata.recovery.sweeper import Sweeper
from mfdata.storage.folder_listing import names_in
from mfdata.storage.names import undelayed
from mfdata.storage.places import Places
from mfdata.storage.tags import discard
from mfext.log import get_logger

log = get_logger(__name__)


class OrphanTags(Sweeper):
    """Discards sidecars that belong to no file.

    Files move while they are looked for, and a sidecar comes before its file: so the folders are walked twice, in the
    order in which files go.
    """

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places

    def _all_paths(self) -> Iterator[Path]:
        return (self._places.sidecars / name for name in names_in(self._places.sidecars, hidden=True))

    def _leftovers(self, paths: set[Path]) -> Iterable[Path]:
        names = {path.name for path in paths}
        for _ in range(2):
            if names:
                names -= set(self._with_file(names))
        return (self._places.sidecars / name for name in names)

    def _end(self, leftovers: list[Path]) -> int:
        for path in leftovers:
            discard(path, self._places.sidecars)
        log.warning("tags that belong to no file are discarded", sidecars=len(leftovers), one_of_them=leftovers[0].name)
        return len(leftovers)

    def _with_file(self, names: set[str]) -> Iterator[str]:
        """Those of *names* that a file has."""
        places = self._places
        for step in names_in(places.incoming, hidden=True):
            if step.startswith("step."):
                yield from names.intersection(names_in(places.incoming / step, hidden=True))
        for _, _, files in os.walk(places.works):  # transactions, too, where files have their next names
            yield from names.intersection(files)
        for step in names_in(places.delays, hidden=True):
            yield from names.intersection(undelayed(name) for name in names_in(places.delays / step, hidden=True))
            yield from names.intersection(names_in(places.delays / step, hidden=True))
        for step in names_in(places.quarantines, hidden=True):
            yield from names.intersection(names_in(places.quarantines / step, hidden=True))
