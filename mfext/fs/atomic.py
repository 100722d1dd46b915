"""Replace a file or a link in one instant: a reader finds what was there or all of what comes, whoever dies when.

The new content grows under a hidden name beside the place, and is renamed. A lock on it makes writers of one place take
turns, and is free as soon as its holder is dead: the next writer takes what is left over, so that nothing gathers.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfext.fs.sync import sync_file, sync_folder

#: Ends the hidden name, so that it is nobody else's.
_END = ".~"
#: Bytes that the name of a file may have.
_LONGEST = 255


def replace_file(path: str | Path, data: str | bytes, *, mode: int = 0o640, durable: bool = False) -> None:
    """Make *data* (text as UTF-8) the content of the file *path*, which is made if need be, with *mode* from its start.

    Args:
        path: in a folder that is there.
        data: all of the content.
        mode: permissions, whatever the umask; 0o600 for what holds secrets.
        durable: content and name are on disk when this returns.

    Raises:
        OSError: it cannot be written; the former file is there as it was.
    """
    with _replacing(Path(path), mode=mode, durable=durable) as (descriptor, _):
        content = memoryview(data.encode("utf-8") if isinstance(data, str) else data)
        while content:
            content = content[os.write(descriptor, content) :]


@contextmanager
def replacing_file(path: str | Path, *, mode: int = 0o640, durable: bool = False) -> Iterator[Path]:
    """Give an empty hidden file to fill, which takes the place of *path* when the block ends without an error.

    Raises:
        OSError: it cannot be made or put in place; the former file is there as it was.
    """
    with _replacing(Path(path), mode=mode, durable=durable) as (_, unfinished):
        yield unfinished


def replace_link(path: str | Path, target: str | Path) -> None:
    """Make *path* a symbolic link to *target*; a link or file that is there is replaced.

    Raises:
        OSError: it cannot be made; what was there is there as it was.
    """
    unfinished = _hidden(Path(path))
    while True:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)  # of a writer that died; one that lives comes here again
        with suppress(FileExistsError, FileNotFoundError):
            os.symlink(target, unfinished)
            os.rename(unfinished, path)
            return
        os.stat(Path(path).parent)  # a folder that is not there does not come by trying


@contextmanager
def _replacing(place: Path, *, mode: int, durable: bool) -> Iterator[tuple[int, Path]]:
    unfinished = _hidden(place)
    descriptor = _open_alone(unfinished)
    try:
        try:
            os.fchmod(descriptor, mode)
            yield descriptor, unfinished
            if durable:
                sync_file(unfinished)
            os.rename(unfinished, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise
    finally:
        os.close(descriptor)
    if durable:
        sync_folder(place.parent)


def _open_alone(path: Path) -> int:
    """Descriptor of the empty file *path*, which nobody else writes until it is closed; private to its owner."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except PermissionError:
            os.unlink(path)  # of another user, who died over it
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Who held the lock has renamed or removed it, as a rule: then it is another file.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(path), os.fstat(descriptor)):
                    os.ftruncate(descriptor, 0)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _hidden(place: Path) -> Path:
    """The name beside *place* under which it grows."""
    name = os.fsencode(place.name)[: _LONGEST - 1 - len(_END)]
    return place.with_name(f".{os.fsdecode(name)}{_END}")
