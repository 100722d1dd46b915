"""Liveness: a runner holds a lock for as long as it lives, so that others of its host see at once when it is dead."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class Liveness:
    """Runners of this host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fds: list[int] = []

    def enter(self, name: str) -> None:
        """Be there as *name* until this process ends, however it does."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unseen = self._folder / f".{name}"
        self._fds.append(os.open(unseen, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # Held before anybody can see it: what is seen and not held is of a dead one.
        fcntl.flock(self._fds[-1], fcntl.LOCK_EX)
        unseen.rename(self._folder / name)

    def dead(self) -> frozenset[str]:
        """Names of those who are not there any more and were not forgotten."""
        with suppress(FileNotFoundError):
            return frozenset(path.name for path in self._folder.iterdir() if path.name[0] != "." and not _is_held(path))
        return frozenset()

    def forget(self, names: frozenset[str]) -> None:
        """All that they left is seen to."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def leave(self) -> None:
        """Be there no more."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()


def _is_held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)
