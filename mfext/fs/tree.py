"""A folder with all that is in it, brought to the disk or removed.

Many files at a time, since each of them waits for the file system, which does for many what it does for one: that is
ten to twenty times as fast as one after the other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_AT_A_TIME = 16


def sync_tree(folder: Path) -> None:
    """Have all of *folder* on the disk before anything says that it is there."""
    files, folders = _paths(folder)
    _each(sync, [*files, *folders])


def remove_tree(folder: Path) -> None:
    """Remove *folder*; what cannot be removed is left, as is all of a link, and nothing is raised."""
    if folder.is_symlink():
        return  # to a developer's folder, it may be
    with suppress(OSError):
        _each(_unlink, _paths(folder, links=True)[0])
    shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path | str) -> None:
    """Have the file or the list of the folder *path* on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _paths(folder: Path | str, *, links: bool = False) -> tuple[list[str], list[str]]:
    """Files and folders: *folder* and all in it; no link is followed."""
    files: list[str] = []
    folders = [str(folder)]
    for one in folders:
        with os.scandir(one) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)  # the loop comes to it
                elif links or not entry.is_symlink():
                    files.append(entry.path)
    return files, folders


def _unlink(path: str) -> None:
    with suppress(OSError):
        Path(path).unlink()


def _each(act: Callable[[str], None], paths: Iterable[str]) -> None:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(act, paths))
