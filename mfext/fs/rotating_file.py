"""AppendFile: a file that grows at its end and is rotated, whoever else writes to it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock


class AppendFile:
    """A file of lines that several processes append to at once, cut into pieces of bounded size.

    ``NAME`` is the newest piece, ``NAME.1`` the one before, up to ``NAME.<keep>``. Every write is one system call
    with O_APPEND, so that lines of several writers never mix and a killed writer leaves whole lines. There is no
    lock file: who rotates holds a lock on the piece itself, and everybody looks, before each write, whether the
    name still stands for the piece that he has open.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """Nothing is opened or made before the first write.

        Args:
            path: the newest piece; its folder must exist by the first write.
            max_bytes: size at which a new piece is begun; 0 = never.
            keep: how many older pieces to keep.
        """
        self.path = path
        self._name = os.fspath(path)
        self.max_bytes = max_bytes
        self.keep = keep
        self._fd = -1
        self._inode = (-1, -1)
        self._torn = False
        self._lock = Lock()

    def write(self, data: bytes) -> None:
        """Append *data*, normally one line with its newline.

        Raises:
            OSError: it could not be written, or not to its end (full disk); the next write begins on a new line.
        """
        with self._lock:
            size = self._open_newest()
            if self.max_bytes and size and size + len(data) > self.max_bytes:
                self._rotate()
                self._open_newest()
            self._append(data)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        with self._lock:
            self._close()

    def _append(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        written = os.write(self._fd, data)
        self._torn = 0 < written < len(data) or (self._torn and not written)
        if written < len(data):
            # A regular file takes less only when the disk is full: ask again, to get the error.
            written += os.write(self._fd, data[written:])
            self._torn = written < len(data)

    def _open_newest(self) -> int:
        """Make sure that the newest piece is open; its size in bytes."""
        while True:
            try:
                found = os.stat(self._name)  # each line written pays for this
                if self._fd >= 0 and (found.st_dev, found.st_ino) == self._inode:
                    return found.st_size
            except FileNotFoundError:
                pass
            self._close()
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            opened = os.fstat(self._fd)
            self._inode = (opened.st_dev, opened.st_ino)

    def _rotate(self) -> None:
        """Give the newest piece the number 1, unless another writer is doing so or has done."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            found = self.path.stat()
            if (found.st_dev, found.st_ino) == self._inode:
                self._shift()
        except FileNotFoundError:
            pass
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _shift(self) -> None:
        """Rename the pieces up, from the highest; a gap left by a killed writer is filled first."""
        if not self.keep:
            self.path.unlink()
            return
        pieces = [self.path, *(Path(f"{self.path}.{number}") for number in range(1, self.keep + 1))]
        last = next((number for number in range(1, self.keep) if not pieces[number].exists()), self.keep)
        for number in range(last, 0, -1):
            pieces[number - 1].replace(pieces[number])

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        with suppress(OSError):
            self._close()
