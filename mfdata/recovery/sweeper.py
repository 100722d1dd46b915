"""Sweeper: what a process left when it died between two acts is found in two looks, minutes apart, and ends."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

#: Seconds between two looks,
EVERY_S = 600.0
#: and at least so many times what a look costs.
LOOK_COST = 100
#: Paths of one look: bounds its time and its memory with a million files.
AT_ONCE = 10_000

#: Which file a path stands for: inode, and time of change in nanoseconds.
_Identity = tuple[int, int]


class Sweeper(ABC):
    """Looks for what was left in one sort of folder, for one process.

    At a single look it may be what a live process is about to finish: so only what is a leftover in two looks, and has
    not changed between them, ends.
    """

    def __init__(self) -> None:
        self._look_at = time.monotonic()
        self._paths: Iterator[Path] = iter(())
        self._suspects: dict[Path, _Identity] = {}

    def look(self) -> int:
        """End what is left over, if it is time to look; how many that were."""
        start = time.monotonic()
        if start < self._look_at:
            return 0
        count = self._look()
        now = time.monotonic()
        self._look_at = now + max(EVERY_S, LOOK_COST * (now - start))
        return count

    @abstractmethod
    def _all_paths(self) -> Iterator[Path]:
        """Every path that may be left over."""

    @abstractmethod
    def _leftovers(self, paths: set[Path]) -> Iterable[Path]:
        """Those of *paths* that are left over, as far as one look can tell."""

    @abstractmethod
    def _end(self, leftovers: list[Path]) -> int:
        """End *leftovers*; how many of them were still there."""

    def _is_certain(self, path: Path) -> bool:
        """Whether one look at *path* is enough."""
        return False

    def _look(self) -> int:
        before, self._suspects = self._suspects, {}
        ended = []
        for path in self._leftovers({*before, *self._next_paths()}):
            with suppress(FileNotFoundError):
                status = path.lstat()
                identity = status.st_ino, status.st_ctime_ns
                if before.get(path) == identity or self._is_certain(path):
                    ended.append(path)
                else:
                    self._suspects[path] = identity
        return self._end(ended) if ended else 0

    def _next_paths(self) -> list[Path]:
        found = list(islice(self._paths, AT_ONCE))
        if not found:
            self._paths = self._all_paths()
            found = list(islice(self._paths, AT_ONCE))
        return found
