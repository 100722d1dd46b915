"""Listings of folders that may not be there: names, folders, and names kept until they may have changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfext.clock import is_older

#: File times are some milliseconds coarse: what changed just now may change again without showing.
_COARSE_S = 0.1


def names_in(folder: Path, *, hidden: bool = False) -> Iterator[str]:
    """The names in *folder*, without holding all of them, those with a dot in front if *hidden*; none without it."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if hidden or not entry.name.startswith("."):
                yield entry.name


def folders_in(parent: Path) -> list[Path]:
    """The folders in *parent*, hidden ones too and no links; none without it."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(parent) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


class Names:
    """The names in a folder that are not hidden, listed again only when they may have changed."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._modified: int | None = None
        self._names: list[str] = []

    def now(self) -> list[str]:
        """The names at present; none when there is no such folder."""
        modified = settled_mtime(self.folder)
        if modified is None or modified != self._modified:
            self._modified = modified
            try:
                self._names = [name for name in os.listdir(self.folder) if not name.startswith(".")]
            except (FileNotFoundError, NotADirectoryError):
                self._names = []
        return self._names


def settled_mtime(folder: str) -> int | None:
    """Time of the last change of *folder*; None when the next one might not show, or it is gone."""
    with suppress(FileNotFoundError):
        modified = os.stat(folder).st_mtime_ns
        if is_older(modified / 1e9, _COARSE_S):
            return modified
    return None
