"""How the files of an installed release differ from those of its archive."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mfext.plugin.marker import FILE
from mfext.plugin.package.archive import Archive, ArchiveFile

#: What Python leaves when the plugin runs.
_LEFT = "__pycache__"


@dataclass(frozen=True)
class Differences:
    """Paths in the folder of a plugin."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    #: Not of the archive; made by the plugin itself, or by somebody.
    added: tuple[str, ...] = ()

    @property
    def is_damaged(self) -> bool:
        """Whether something of the archive is not as it was."""
        return bool(self.changed or self.missing)

    def lines(self) -> list[str]:
        """One line for each, for a person."""
        kinds = (("changed", self.changed), ("missing", self.missing), ("added", self.added))
        return [f"{kind:8} {path}" for kind, paths in kinds for path in paths]


def differences(folder: Path, archive: Archive) -> Differences:
    """How *folder* differs from the files of *archive*."""
    files = {str(file.path): file for file in archive.files.values() if str(file.path) != "."}
    there = set(_paths(folder))
    known = sorted(files.keys() & there)
    return Differences(
        changed=tuple(path for path in known if not _is_same(folder / path, files[path], archive.algorithm)),
        missing=tuple(sorted(files.keys() - there)),
        added=tuple(sorted(there - files.keys())),
    )


def _paths(folder: Path, below: PurePosixPath | None = None) -> Iterator[str]:
    for entry in os.scandir(folder / (below or "")):
        path = (below or PurePosixPath()) / entry.name
        if entry.name == _LEFT or str(path) == FILE:
            continue
        yield str(path)
        if entry.is_dir(follow_symlinks=False):
            yield from _paths(folder, path)


def _is_same(place: Path, file: ArchiveFile, algorithm: str) -> bool:
    status = place.lstat()
    if status.st_mode != file.mode and not file.is_link:
        return False
    if file.is_folder:
        return True
    if file.is_link:
        return stat.S_ISLNK(status.st_mode) and str(place.readlink()) == file.target
    if status.st_size != file.size:
        return False
    with place.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest() == file.digest
