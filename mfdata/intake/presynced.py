"""Ready files: complete files that are brought to disk many at a time, each with its tags, before they are taken.

Asked for one by one, each of them would wait for a turn of the disk of its own. A read lease is held on each meanwhile:
it is broken when somebody opens the file for writing, and what is on disk then is not what would be taken.
"""

from __future__ import annotations

import fcntl
import os
from typing import NamedTuple

from mfdata.intake.arrival import Arrival
from mfext.fs.sync import begin_sync


class Ready(NamedTuple):
    """A file that can be renamed."""

    arrival: Arrival
    #: Open, with the lease.
    descriptor: int
    status: os.stat_result


class ReadyFiles:
    """The files of one batch, by their path."""

    def __init__(self) -> None:
        self._files: dict[str, Ready] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def add(self, ready: Ready) -> None:
        """Let it be one of the batch, which closes its descriptor."""
        self._files[ready.arrival.path] = ready

    def sync(self) -> None:
        """Bring all of them to disk.

        Raises:
            OSError: the disk fails; none is ready.
        """
        try:
            for ready in self._files.values():
                begin_sync(ready.descriptor)
            for ready in self._files.values():
                os.fsync(ready.descriptor)
        except OSError:
            self.clear()
            raise

    def pop(self, path: str) -> Ready | None:
        """The file at *path* if it is ready and still as it was brought to disk; who gets it closes its descriptor."""
        ready = self._files.pop(path, None)
        if ready is None:
            return None
        try:
            status = os.lstat(path)
            is_same = (status.st_dev, status.st_ino) == (ready.status.st_dev, ready.status.st_ino)
            if is_same and status.st_nlink == 1 and _is_leased(ready.descriptor):
                return ready
        except FileNotFoundError:
            pass
        os.close(ready.descriptor)
        return None

    def clear(self) -> None:
        """Those that are left are not ready any more."""
        for ready in self._files.values():
            os.close(ready.descriptor)
        self._files.clear()


def _is_leased(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
