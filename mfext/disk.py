"""Disk: how full a file system is, between which marks work pauses, and which errors say that there is no room."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

#: There is no room, or no more for this user: nobody's fault, and over some time.
NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))
#: Something of the machine is used up, for everybody.
USED_UP = NO_ROOM | {errno.ENOMEM, errno.EMFILE, errno.ENFILE}
#: Once work has paused, so much more must be free than the mark says before it goes on.
_RESUME = 1.25


def is_no_room(error: BaseException) -> bool:
    """Whether *error* says that the disk is full."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


@dataclass(frozen=True)
class Disk:
    """How full a file system is."""

    #: Bytes.
    free: int
    size: int
    #: Inodes; 0 of 0 where their number has no limit.
    free_files: int = 0
    files: int = 0

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """The one on which *folder* is.

        Raises:
            OSError: nobody can tell.
        """
        found = os.statvfs(folder)
        return cls(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail, found.f_files)


@dataclass(frozen=True)
class Watermarks:
    """How much must be free; a mark is no larger than ``percent`` of the file system, so that small ones work, too."""

    #: Bytes and inodes.
    free: float
    free_files: float
    #: Of the file system.
    percent: float
    #: Bytes that must be free before what paused goes on; 0 = a quarter more than ``free``.
    resume: float = 0.0

    def reason(self, disk: Disk, *, was: bool) -> str:
        """Why work pauses; '' when it does not (pure).

        Args:
            disk: as it is now.
            was: it pauses already, and goes on when there is well more than the marks.
        """
        least = min(self.free, disk.size * self.percent / 100)
        if disk.free < (max(self.resume, least * _RESUME) if was and least else least):
            return f"{disk.free} bytes are free on the disk (min_free = {least:.0f})"
        least_files = min(self.free_files, disk.files * self.percent / 100)
        if disk.free_files < (least_files * _RESUME if was else least_files):
            return f"{disk.free_files} inodes are free on the disk, of {disk.files}"
        return ""
