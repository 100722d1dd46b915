"""Bring contents and names to the disk: without it a power cut may take what was already renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

#: sync_file_range(2): begin to write, wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2


def sync_file(path: str | Path) -> None:
    """Bring content and attributes of a file to disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: str | Path) -> None:
    """Bring the names in a folder to disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def make_synced_folder(path: Path) -> None:
    """Make a folder, and what is missing above it; their names are on disk."""
    if path.is_dir():
        return
    make_synced_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def begin_sync(descriptor: int) -> None:
    """Have the content of an open file written to disk; whoever needs to know that it is there asks for an fsync."""
    _sync_file_range()(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


@cache
def _sync_file_range() -> Callable[..., int]:
    import ctypes  # only where files are brought to disk

    function = ctypes.CDLL(None).sync_file_range
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


def _sync(path: str | Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
