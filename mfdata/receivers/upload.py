"""Upload: a file that is being received: hidden until it is complete and on disk, gone if it never is."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from mfdata.intake.completeness import HIDDEN
from mfdata.storage.placement import rename_new
from mfdata.storage.tags import discard, new_uid
from mfext.fs.lock import try_lock
from mfext.fs.sync import begin_sync, sync_folder

#: Begins the names of files that are being received; the observer leaves them alone.
PREFIX = f"{HIDDEN}upload-"
#: So much is written before the kernel is asked to begin bringing it to disk, so that the end need not wait long.
_WRITE_BACK = 16 * 1024 * 1024


class TooLarge(OSError):
    """The file is larger than is allowed."""


class Upload:
    """A file that comes in, in the folder where it will lie."""

    def __init__(self, name: str, max_size: int, sidecars: Path) -> None:
        """Begin.

        Args:
            name: the path that the client wants.
            max_size: bytes.
            sidecars: of the home.

        Raises:
            OSError: no file can be made there.
        """
        self.name = name
        self.uid = new_uid()
        self.path = Path(name).with_name(f"{PREFIX}{self.uid}")
        self.size = 0
        self.closed = False
        #: Why not all could be written.
        self.fault: OSError | None = None
        self._max_size = max_size
        self._sidecars = sidecars
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        # Says that we live. Not on the descriptor that writes: that one must be closed before the file appears.
        self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try_lock(self._lock)

    def write(self, data: bytes) -> None:
        """Add *data*.

        Raises:
            TooLarge: that would be too much.
            OSError: it cannot be written.
        """
        begun = self.size // _WRITE_BACK
        try:
            self._write(data)
        except OSError as error:
            self.fault = error
            raise
        if self.size // _WRITE_BACK > begun:
            begin_sync(self._file)

    def complete(self) -> None:
        """Bring all of it to disk; nothing more will come.

        Raises:
            OSError: it did not get there.
        """
        os.fsync(self._file)
        self._close_file()

    def publish(self, target: Path) -> bool:
        """Let it appear as *target*, unless that name is taken; whether it did.

        Raises:
            OSError: it cannot appear there.
        """
        if not rename_new(self.path, target):
            return False
        self._published()
        return True

    def replace(self, target: Path) -> None:
        """Let it appear as *target*, in place of what is there.

        Raises:
            OSError: it cannot appear there.
        """
        self.path.replace(target)
        self._published()

    def close(self) -> None:
        """End; what has not appeared is discarded."""
        if not self.closed:
            self.closed = True
            self._close_file()
            discard(self.path, self._sidecars)
            os.close(self._lock)

    def _write(self, data: bytes) -> None:
        if self.size + len(data) > self._max_size:
            raise TooLarge(errno.EFBIG, f"larger than {self._max_size} bytes")
        view = memoryview(data)
        while view:
            count = os.write(self._file, view)
            view = view[count:]
            self.size += count

    def _published(self) -> None:
        sync_folder(self.path.parent)
        self.close()

    def _close_file(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1


def discard_leftovers(folder: Path, sidecars: Path) -> int:
    """Discard what receivers that died have left in *folder*; how many. None of it was ever acknowledged."""
    count = 0
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError), path.open("rb") as file:
            if try_lock(file.fileno()):
                discard(path, sidecars)
                count += 1
    return count
