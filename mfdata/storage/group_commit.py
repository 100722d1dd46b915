"""Group sync: brings the new names in folders to disk, each folder once for all files that were renamed meanwhile.

What is put off is only the ``fsync`` of folders, never that of a file: a file is on disk with its tags before it is
renamed. So a power cut that comes before the group's turn takes a rename back, and the file is where it was.
"""

from __future__ import annotations

import time
from contextlib import suppress

from mfext.fs.sync import sync_folder

#: So many renames, or seconds, after which a group is complete though more files wait.
_MOST, _LONGEST_S = 64, 0.05


class GroupSync:
    """The folders whose names have changed and are not on disk yet, for one process."""

    def __init__(self) -> None:
        #: Folders that got a name come before those that lost one: a file that is in neither would be lost.
        self._gained: dict[str, None] = {}
        self._lost: dict[str, None] = {}
        self._count = 0
        self._since = 0.0

    def renamed(self, source: str, target: str) -> None:
        """A file has been renamed from folder *source* to folder *target*.

        Raises:
            OSError: the group was complete, and the disk fails; see :meth:`sync`.
        """
        if not self._count:
            self._since = time.monotonic()
        self._gained[target] = None
        self._lost[source] = None
        self._count += 1
        if self._count >= _MOST or time.monotonic() - self._since >= _LONGEST_S:
            self.sync()

    def sync(self) -> None:
        """Bring all of it to disk.

        Raises:
            OSError: the disk fails; what could not be brought there is tried again by the next call.
        """
        for folders in (self._gained, self._lost):
            while folders:
                folder = next(iter(folders))
                with suppress(FileNotFoundError):  # it was removed, and no name in it is waited for
                    sync_folder(folder)
                del folders[folder]
        self._count = 0
