"""Copy and move files: what is copied appears complete, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfext.fs.sync import sync_folder

# linux/fs.h: share the blocks of another file (btrfs, XFS); the others answer that they cannot.
_FICLONE = 0x40049409


def copy(source: str | Path, target: str | Path, *, sync: bool = False) -> None:
    """Copy content, mode and times of *source* to the new file *target*, sharing blocks where the disk can.

    *target* is not complete before this returns: give a name that nobody looks at. Extended attributes are not copied.
    """
    with open(source, "rb") as reader, open(target, "xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            while os.sendfile(writer.fileno(), reader.fileno(), None, 1 << 30):
                pass
        status = os.fstat(reader.fileno())
        os.fchmod(writer.fileno(), status.st_mode & 0o777)
        os.utime(writer.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        if sync:
            os.fsync(writer.fileno())


@contextmanager
def hidden_copy(source: str | Path, folder: Path) -> Iterator[Path]:
    """Give a copy of *source* in *folder*, complete and on disk, under a hidden name; deleted unless it gets another.

    Raises:
        OSError: it cannot be copied; nothing is left of it.
    """
    path = folder / f".metwork-{os.urandom(12).hex()}.tmp"
    try:
        copy(source, path, sync=True)
        yield path
    finally:
        with suppress(OSError):
            os.unlink(path)


def copy_complete(source: str | Path, target: Path) -> None:
    """Copy *source* to *target*, which appears complete and on disk."""
    with hidden_copy(source, target.parent) as path:
        os.rename(path, target)
    sync_folder(target.parent)


def move(source: str | Path, target: Path) -> None:
    """Move *source* to *target*, complete when it appears, over file systems too; folders are made."""
    try:
        os.rename(source, target)
        return
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_complete(source, target)
        os.unlink(source)
