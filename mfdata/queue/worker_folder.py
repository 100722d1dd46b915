"""Worker folder: the folder of one worker, its lock, its marks and the files that it has claimed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.storage.folder_listing import folders_in
from mfdata.storage.names import WorkerName, new_worker_name, worker_name
from mfdata.storage.places import LOCK, Places, Target
from mfdata.storage.tags import OWN_COPY
from mfext.clock import is_older

#: What the watchdog leaves in the folder of a worker that it kills: why, as JSON.
KILLED = "killed"
#: What a worker leaves in its folder while it has a batch in hand: which of the files killed it cannot be known.
BATCH = "batch"
#: The same while the files it has claimed wait for others: none of them can have killed it.
GATHERING = "gathering"
#: All that a worker has in its folder besides files.
MARKS = (LOCK, KILLED, f".{KILLED}", BATCH, GATHERING)
#: A folder that its worker has not yet made public after this long is a dead worker's.
_HIDDEN_FOR_S = 60.0


class WorkerFolder:
    """The folder of one worker, held by a flock."""

    def __init__(self, parent: Path, under: str = "") -> None:
        """Make the folder and lock it before anybody can take it for a dead worker's; *under* which generation."""
        name = worker_name(under)
        parent.mkdir(parents=True, exist_ok=True)
        hidden = parent / new_worker_name(name)
        hidden.mkdir()
        self._lock = os.open(hidden / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = parent / name
        hidden.rename(self.path)

    def close(self) -> None:
        """Remove the folder, unless something is still in it: that is for recovery."""
        if os.listdir(self.path) == [LOCK]:
            (self.path / LOCK).unlink()
            self.path.rmdir()
        os.close(self._lock)


def worker_folders(places: Places, target: Target | None = None) -> Iterator[Path]:
    """The folders of all workers, alive or dead, of *target* or of all steps."""
    steps = [places.work(target)] if target else folders_in(places.works)
    for step in steps:
        for worker in folders_in(step):
            if not worker.name.startswith(".") or _is_old(worker):
                yield worker


def claimed_file(folder: Path) -> Path | None:
    """The file that the worker of *folder* has in hand, if any; of a batch, one of them."""
    return next(claimed_files(folder), None)


def claimed_files(folder: Path) -> Iterator[Path]:
    """All files that the worker of *folder* has in hand."""
    with suppress(FileNotFoundError):
        yield from (path for path in folder.iterdir() if _is_claimed(path))


def remove_worker_folder(folder: Path) -> None:
    """Remove a worker's folder that holds neither file nor transaction; the lock goes last: a successor may end this.

    Raises:
        OSError: there is something in it that is not the worker's own.
    """
    for path in folder.iterdir():
        if path.name in MARKS and path.name != LOCK:
            path.unlink()
    if left := [name for name in os.listdir(folder) if name != LOCK]:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder / left[0]))
    with suppress(FileNotFoundError):
        (folder / LOCK).unlink()
    folder.rmdir()


def _is_claimed(path: Path) -> bool:
    # All waiting names begin with the digit of their priority.
    return path.name[0].isdigit() and not _is_unfinished_copy(path) and not path.is_dir()


def _is_unfinished_copy(path: Path) -> bool:
    """Whether *path* was about to take the place of the file beside it; a producer's file may be called so as well."""
    return path.name.endswith(OWN_COPY) and path.with_name(path.name.removesuffix(OWN_COPY)).exists()


def remove_unfinished_copies(folder: Path) -> None:
    """Remove the copies that were about to take the place of a claimed file in *folder*."""
    for path in [path for path in folder.iterdir() if _is_unfinished_copy(path)]:
        path.unlink()


def _is_old(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        return WorkerName.parsed(folder.name).is_new and is_older(folder.stat().st_mtime, _HIDDEN_FOR_S)
    return False
