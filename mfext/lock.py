"""A lock between commands: one at a time changes a home, the others wait or say who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfext.errors import Conflict

_POLL = 0.05


@contextmanager
def exclusive(path: Path, what: str, *, timeout: float = 10.0) -> Iterator[None]:
    """Hold the lock file *path*, made when missing, while *what* is being changed.

    The kernel lets go of the lock when its holder dies, so that it is never stale.

    Raises:
        Conflict: another process held it for all of *timeout* seconds; its pid is named.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _wait_for(descriptor, what, timeout)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
                raise Conflict(
                    f"{what} is being changed by another command, process {holder}, for more than {timeout:g} s",
                    mend="Try again when that one has ended.",
                ) from None
            time.sleep(_POLL)
        else:
            return
