"""Begun: names under which something was begun to be written on another machine, so that nothing is left there half.

One small file a name, locked by the process that writes there. Where nobody holds the lock, the transfer was broken
off, by whatever: the name is removed there as soon as somebody is connected.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2s
from pathlib import Path

from mfext.fs.lock import try_lock


class Mark:
    """What is known of one name, by the process that has it; ``is_old`` = somebody before may have left it there."""

    def __init__(self, path: Path, descriptor: int, *, is_old: bool) -> None:
        self.is_old = is_old
        #: Whether it stays for the next one who is connected.
        self.is_kept = True
        self._path = path
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go of it."""
        if not self.is_kept:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)


class Begun:
    """The names of one step."""

    def __init__(self, folder: Path, destination: str) -> None:
        """*destination* is all that says where the names are: those of another one are forgotten."""
        self._folder = folder
        self._destination = os.fsencode(destination)

    @contextmanager
    def writing(self, name: str) -> Iterator[Mark | None]:
        """While *name* is written: others leave it alone. None when that cannot be noted (full disk)."""
        try:
            mark = self._mark(name)
        except OSError:
            yield None
            return
        try:
            yield mark
        finally:
            mark.close()

    def left(self) -> Iterator[tuple[str, Mark]]:
        """The names that nobody is writing, each while it is ours; its mark stays unless it is told not to."""
        with suppress(FileNotFoundError):
            for path in sorted(self._folder.iterdir()):
                found = self._taken(path)
                if found:
                    try:
                        yield found
                    finally:
                        found[1].close()

    def any_left(self) -> bool:
        """Whether there are names at all."""
        with suppress(OSError):
            return any(self._folder.iterdir())
        return False

    def _mark(self, name: str) -> Mark:
        path = self._folder / blake2s(os.fsencode(name), digest_size=12).hexdigest()
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # who removes the name there at this moment is waited for
            if os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)
        is_old = os.fstat(descriptor).st_size > 0
        try:
            os.pwrite(descriptor, self._destination + b"\n" + os.fsencode(name), 0)
        except OSError:
            os.close(descriptor)
            raise
        return Mark(path, descriptor, is_old=is_old)

    def _taken(self, path: Path) -> tuple[str, Mark] | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if not try_lock(descriptor) or not os.fstat(descriptor).st_nlink:
            os.close(descriptor)
            return None
        destination, _, name = os.pread(descriptor, 1 << 16, 0).partition(b"\n")
        mark = Mark(path, descriptor, is_old=True)
        if destination != self._destination or not name:
            mark.is_kept = False
            mark.close()
            return None
        return os.fsdecode(name), mark
