"""Completeness: whether a file in an external directory is complete, and for how long it has stood still (pure)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import Enum
from fnmatch import translate

#: Begins the names that files have in their directory while they are brought in.
HIDDEN = ".metwork-"


class Writers(Enum):
    """Who has a file open for writing."""

    NONE = "nobody"
    SOME = "somebody"
    UNKNOWN = "nobody can tell"


class Decision(Enum):
    """What intake says of a file."""

    TAKE = "it is complete"
    GONE = "it is not there"
    OPEN = "somebody writes it, and its closing will be reported"
    UNSETTLED = "whether it is complete will be seen when it stands still"
    UNEXPECTED = "it is left alone: not a file, or not ours to take"


def decide(writers: Writers, was_closed: bool, unchanged_for: float, stable_for: float) -> Decision:
    """Whether a file is complete (pure).

    Args:
        writers: what a lease says.
        was_closed: an event said that it was closed after writing, or renamed in.
        unchanged_for: seconds for which its size and modification time are known not to have changed.
        stable_for: seconds after which that is enough.
    """
    if writers is Writers.SOME:
        return Decision.OPEN
    if writers is Writers.NONE or was_closed or unchanged_for >= stable_for:
        return Decision.TAKE
    return Decision.UNSETTLED


def ignored_names(patterns: Iterable[str]) -> re.Pattern[str]:
    """What matches the names that are left alone, by shell *patterns* and the names that intake itself gives."""
    return re.compile("|".join([re.escape(HIDDEN), *map(translate, patterns)]))


class StablePeriods:
    """Since when files have not changed, by the monotonic clock; of a bounded number of files."""

    LIMIT = 20_000

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int, float]] = {}

    def seconds(self, path: str, status: os.stat_result, now: float) -> float:
        """For how long the file at *path* is known to have had the size and time of *status*."""
        seen = self._seen.get(path)
        if seen and seen[:2] == (status.st_size, status.st_mtime_ns):
            return now - seen[2]
        if seen or len(self._seen) < self.LIMIT:
            self._seen[path] = (status.st_size, status.st_mtime_ns, now)
        return 0.0

    def forget(self, path: str) -> None:
        """Nothing more is to be known of *path*."""
        self._seen.pop(path, None)

    def due(self, now: float, stable_for: float) -> list[str]:
        """The files to be looked at again."""
        return [path for path, (_, _, since) in self._seen.items() if now - since >= stable_for]

    def is_full(self) -> bool:
        """Whether files were turned away."""
        return len(self._seen) >= self.LIMIT
