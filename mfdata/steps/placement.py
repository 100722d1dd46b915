"""Placement: put a file under a name without ever replacing another one."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mfdata import File
from mfdata.file import ATTRIBUTE, copy, decode_tags, discard, encode_tags, uid_of
from mfdata.steps.naming import marked
from mfext.fs.sync import sync_folder

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
#: File systems that cannot rename without replacing (NFS, some FUSE) answer so.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def rename_new(source: Path, target: Path) -> bool:
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


def _link_new(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
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


def place_new(file: File, wanted: Path, sidecars: Path, *, other_name: bool, with_tags: bool) -> Path | None:
    """Put *file* at *wanted*, complete when it appears, and leave the claimed file as it is; where it then lies.

    A file that an earlier try put there is found again by the uid in its tags.

    Args:
        file: the claimed file.
        wanted: the name; its folder is made.
        sidecars: of the home.
        other_name: when the name is taken, use one that is marked with the uid; otherwise give up: None.
        with_tags: the placed file has the tags.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    part = wanted.with_name(f".metwork-{file.uid}.tmp")
    discard(part, sidecars)
    try:
        _second_name(file, part, with_tags=with_tags)
        placed = _placed(file, part, wanted, other_name=other_name)
    finally:
        discard(part, sidecars)
    sync_folder(wanted.parent)
    return placed


def _placed(file: File, part: Path, wanted: Path, *, other_name: bool) -> Path | None:
    other = wanted.with_name(marked(wanted.name, f"{file.uid}/{file.tags.get('latest.core.step_counter')!r}"))
    for candidate in (wanted, other) if other_name else (wanted,):
        if rename_new(part, candidate) or _is_placed(file, candidate):
            return candidate
    if not other_name:
        return None
    # Only an earlier try of this very visit can have taken the name with its uid.
    part.replace(other)
    return other


def _is_placed(file: File, candidate: Path) -> bool:
    with suppress(OSError):
        return uid_of(decode_tags(os.getxattr(candidate, ATTRIBUTE))) == file.uid
    return False


def _second_name(file: File, part: Path, *, with_tags: bool) -> None:
    """Make *part* a second name of the file, or a copy where there can be none."""
    if with_tags:
        with suppress(OSError):
            os.link(file.path, part)
            return
    copy(file.path, part, sync=True)
    part.chmod(file.path.stat().st_mode & 0o7777)
    if with_tags:
        with suppress(OSError):
            os.setxattr(part, ATTRIBUTE, encode_tags(file.tags))
