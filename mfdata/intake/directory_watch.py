"""Watched: an external directory as the observer sees it: its watch, and how far its listing is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.intake.directories import ExternalDirectory

#: Names of one listing that are put in order of time, oldest first, before they are taken.
_CHUNK = 4096
#: Files taken from a listing before events and signals are looked at again.
_SLICE = 128


class Watched:
    """An external directory, its watch, and how far its listing is."""

    def __init__(self, directory: ExternalDirectory) -> None:
        self.directory = directory
        #: Watch descriptor; -1 when it cannot be watched.
        self.descriptor = -1
        self.identity = (-1, -1)
        self.fault = ""
        self._listing: Iterator[list[str]] = iter(())
        self._names: list[str] = []

    def list_again(self) -> None:
        """Begin to list the directory, from the start."""
        self._listing = _chunks(os.fspath(self.directory.path))
        self._names = []

    def next_names(self) -> list[str]:
        """Some more names; [] when the listing is at its end."""
        if not self._names:
            self._names = next(self._listing, [])
        names, self._names = self._names[:_SLICE], self._names[_SLICE:]
        return names


def _chunks(path: str) -> Iterator[list[str]]:
    """The names in the directory *path*, some thousand at a time, those oldest first."""
    with suppress(OSError), os.scandir(path) as entries:
        chunk: list[tuple[int, str]] = []
        for entry in entries:
            with suppress(FileNotFoundError):
                chunk.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
            if len(chunk) == _CHUNK:
                yield [name for _, name in sorted(chunk)]
                chunk = []
        yield [name for _, name in sorted(chunk)]


def identity(path: Path) -> tuple[int, int]:
    """Device and inode of the directory that *path* is at present; (-1, -1) when there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return (-1, -1)
