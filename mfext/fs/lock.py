"""A lock between commands: one at a time changes a home, the others wait or say who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfext.errors import Conflict

_POLL_S = 0.05


@contextmanager
def exclusive(path: Path, what: str, act: str, *, timeout: float = 10.0) -> Iterator[None]:
    """Hold the lock file *path*, made when missing, while *act* (``"start"``) is done to *what* (``"mfdata"``).

    The kernel lets go of the lock when its holder dies, so that it is never stale.

    Raises:
        Conflict: another process held it for all of *timeout* seconds; its act and pid are named.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait_for(descriptor, what, timeout)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{act}, process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Whether the open file or folder could be locked at once; a former lock of its own is lost anyway.

    Args:
        descriptor: of the file.
        how: ``fcntl.LOCK_EX`` or ``fcntl.LOCK_SH``.
    """
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(descriptor: int, what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise _held(descriptor, what, timeout)
        time.sleep(_POLL_S)


def _held(descriptor: int, what: str, timeout: float) -> Conflict:
    holder = os.pread(descriptor, 100, 0).decode(errors="replace") or "unknown"
    return Conflict(
        f"another command has been at work on {what} for more than {timeout:g} s ({holder})",
        mend="Try again when it has ended.",
    )
