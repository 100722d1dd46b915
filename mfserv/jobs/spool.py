"""Spool: bodies of requests and results of jobs on disk, however large; each is on disk before its record says so."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfext.clock import is_older

#: Bytes read or written at once: all the memory that a body of any size needs.
CHUNK = 256 * 1024
#: What is not larger, body or result, is kept with the record of its job: that saves to bring a file to disk as well.
SMALL = 64 * 1024
#: So much is written before the kernel is asked to begin bringing it to disk, so that the end need not wait long.
_WRITE_BACK = 16 * 1024 * 1024


class Spool:
    """The folder of bodies and results."""

    def __init__(self, folder: Path) -> None:
        self.bodies = folder / "bodies"
        self.results = folder / "results"
        for made in (self.bodies, self.results):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)

    def body(self, job_id: str) -> Path:
        """Where the body of a job lies."""
        return self.bodies / job_id

    def result(self, name: str) -> Path:
        """Where a result lies."""
        return self.results / name

    def forget(self, job_id: str, result: str = "") -> None:
        """Remove what there is of a job."""
        self.body(job_id).unlink(missing_ok=True)
        if result:
            self.result(result).unlink(missing_ok=True)

    def old(self, seconds: float) -> Iterator[tuple[str, Path]]:
        """Files older than *seconds*, each with the job that it should be of: what a crash leaves has none."""
        for folder in (self.bodies, self.results):
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        if is_older(entry.stat().st_mtime, seconds):
                            yield entry.name.partition(".")[0], Path(entry.path)


class SpoolFile:
    """A file being written. Nobody looks for it until a record names it, so that it needs no other name meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.digest = hashlib.sha256()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Add *data*."""
        before = self.size
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self.digest.update(data)
        self.size += len(data)
        if before // _WRITE_BACK != self.size // _WRITE_BACK:
            os.fdatasync(self._fd)

    def keep(self) -> None:
        """Bring it to disk, its name as well; nothing more comes."""
        os.fsync(self._fd)
        self._close()
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Remove it; harmless at any time."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
