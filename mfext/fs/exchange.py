"""Two folders take each other's place in one step, so that there is no instant without one of them."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
#: The file system or the system cannot do it.
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_ASIDE = ".aside"


def exchange(one: Path, other: Path) -> None:
    """Let *one* and *other*, on one file system, change places.

    Raises:
        OSError: one is not there, or may not be renamed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _UNABLE:
        raise OSError(code, os.strerror(code), str(one), None, str(other))
    _in_three_steps(one, other)


def complete(one: Path, other: Path) -> None:
    """Go on with an exchange in three steps that was interrupted."""
    aside = other.with_name(other.name + _ASIDE)
    if aside.exists():
        if not one.exists():
            other.rename(one)
        aside.rename(other)


def _in_three_steps(one: Path, other: Path) -> None:
    """What a file system that knows no exchange can do: for an instant *one* is not there."""
    aside = other.with_name(other.name + _ASIDE)
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
