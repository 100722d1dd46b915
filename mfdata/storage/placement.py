"""Placing: put a file under a name that may be somebody else's: under another one, in its place, or not at all."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.storage.file_names import LONGEST, marked
from mfdata.storage.tags import ATTRIBUTE, decode_tags, new_uid, uid_of
from mfext.fs.copy import hidden_copy, move
from mfext.fs.sync import sync_folder

#: What becomes of a file whose name is taken: it gets another one, it replaces what is there, or it has failed.
NUMBER, REPLACE, QUARANTINE = "number", "replace", "quarantine"
IF_EXISTS = (NUMBER, REPLACE, QUARANTINE)

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
#: File systems that cannot rename without replacing (NFS, some FUSE) answer so.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def rename_new(source: str | Path, target: str | Path) -> bool:
    """Rename *source* to *target* unless that name is taken; whether it was done. Both on one file system.

    Where the file system cannot do that, *source* stays as a second name, which the caller discards.
    """
    error = _renameat2()(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if not error:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    if number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(source), None, str(target))
    return _link_new(source, target)


def _link_new(source: str | Path, target: str | Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        # It may be done already: who did it died before the caller discarded the first name.
        return os.path.samestat(os.lstat(source), os.lstat(target))
    # A link tells no watcher of the folder that a file came; closing a file that was open for writing does.
    with suppress(OSError):
        os.close(os.open(target, os.O_WRONLY))
    return True


@functools.cache
def _renameat2() -> Callable[..., int]:
    function = ctypes.CDLL(None, use_errno=True).renameat2
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    return function


def other_names(name: str, uid: str, longest: int = LONGEST) -> Iterator[str]:
    """Names for the file *uid* when *name* is taken, without end: each has a number before its suffix (pure)."""
    yield marked(name, uid, longest)
    count = 2
    while True:
        yield marked(name, f"{uid}/{count}", longest)
        count += 1


def free_path(wanted: Path, uid: str) -> Path:
    """*wanted*, or the first of its other names that is not taken at this moment."""
    if not os.path.lexists(wanted):
        return wanted
    others = (wanted.with_name(name) for name in other_names(wanted.name, uid))
    return next(path for path in others if not os.path.lexists(path))


def place(source: str | Path, wanted: Path, if_exists: str, *, uid: str = "", mark: Path | None = None) -> Path:
    """Move *source* to *wanted*, complete when it appears, over file systems too; where it then lies. Folders are made.

    Two that place files of one name at once do not meet.

    Args:
        source: the file.
        wanted: its name.
        if_exists: one of ``IF_EXISTS``.
        uid: what other names are made of; by default something new.
        mark: a file that is written when *source* must be copied, so that who does this again after a crash finds what
            was placed.

    Raises:
        FileExistsError: the name is taken, and *if_exists* is ``quarantine``; nothing has happened.
    """
    if if_exists == REPLACE:
        move(source, wanted)
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for candidate in _candidates(wanted, if_exists, uid or new_uid()):
        if _put_new(source, candidate, mark):
            return candidate
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(wanted))


def _candidates(wanted: Path, if_exists: str, uid: str) -> Iterator[Path]:
    yield wanted
    if if_exists == NUMBER:
        yield from (wanted.with_name(name) for name in other_names(wanted.name, uid))


def _put_new(source: str | Path, target: Path, mark: Path | None) -> bool:
    try:
        done = rename_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        done = _copy_new(source, target, mark)
    if done:
        with suppress(FileNotFoundError):
            os.unlink(source)
    return done


def _copy_new(source: str | Path, target: Path, mark: Path | None) -> bool:
    if mark and _was_placed(target, mark):
        return True
    with hidden_copy(source, target.parent) as part:
        with suppress(OSError):
            os.setxattr(part, ATTRIBUTE, os.getxattr(source, ATTRIBUTE))
        if mark:
            mark.write_text(_identity(part), encoding="ascii")
        done = rename_new(part, target)
    if done:
        sync_folder(target.parent)
    return done


def _was_placed(target: Path, mark: Path) -> bool:
    with suppress(OSError):
        return mark.read_text(encoding="ascii") == _identity(target)
    return False


def _identity(path: Path) -> str:
    status = os.lstat(path)
    return f"{status.st_dev}:{status.st_ino}"


def described(path: Path) -> str:
    """*path* and, if it tells it, the uid of the file there, for the trace."""
    with suppress(OSError):
        uid = uid_of(decode_tags(os.getxattr(path, ATTRIBUTE)))
        return f"{path} ({uid})" if uid else os.fspath(path)
    return os.fspath(path)
