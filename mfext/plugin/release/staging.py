"""A copy of a plugin's folder as it is released: what is ignored left out, everything else the same everywhere."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from mfext.errors import MetworkError, PluginError, raise_all
from mfext.plugin.release.ignore import ALWAYS, FILE, is_ignored, patterns

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: The time of every file of an archive, 2000-01-01, so that an archive depends on nothing but its content.
EPOCH = 946684800

_FOLDER, _PROGRAM, _FILE = 0o755, 0o755, 0o644
#: What the old form of cpio in an RPM can hold.
_LARGEST = (1 << 32) - 1


def stage(folder: Path, target: Path) -> None:
    """Copy what is released of *folder* to the new folder *target*, with fixed modes.

    Raises:
        PluginError: something in it cannot be released; all such faults at once.
    """
    known = _known(folder)
    found = list(released(folder, known))
    raise_all([fault for path in found if (fault := _fault(folder, path))])
    target.mkdir(parents=True)
    for path in found:
        _copy(folder / path, target / path)


def settle(folder: Path) -> None:
    """Give everything in *folder*, and itself, the fixed modes and the fixed time."""
    # From the inside out, since writing changes the time of the folder around.
    for top, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            _settle(Path(top, name))
    _settle(folder)


def released(folder: Path, known: GitIgnoreSpec, below: PurePath | None = None) -> Iterator[PurePath]:
    """The paths in *folder*, relative to it, that are released; folders before what is in them."""
    relative = below or PurePath()
    for entry in sorted(os.scandir(folder / relative), key=lambda entry: entry.name):
        path = relative / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_ignored(path, is_folder, known):
            continue
        yield path
        if is_folder:
            yield from released(folder, known, path)


def escapes(path: PurePath, target: str) -> bool:
    """Whether a link at *path*, relative to the plugin's folder, leads out of it, as its text says."""
    if not target or PurePath(target).is_absolute():
        return True
    return os.path.normpath(path.parent / target).split("/")[0] == ".."


def _known(folder: Path) -> GitIgnoreSpec:
    """What is not released of *folder*: as we say, and then as its author does."""
    try:
        return patterns([*ALWAYS, *_ignored_by(folder)])
    except ValueError as error:
        raise PluginError(f"git would not understand this: {error}", where=str(folder / FILE)) from None


def _ignored_by(folder: Path) -> list[str]:
    try:
        return (folder / FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"cannot be read: {error}", where=str(folder / FILE)) from None


def _fault(folder: Path, path: PurePath) -> MetworkError | None:
    status = (folder / path).lstat()
    where = str(folder / path)
    if any(ord(char) < 32 for char in path.name):
        return PluginError(f"the name of this file, {path.name!r}, cannot be in an archive", where=str(folder))
    if stat.S_ISLNK(status.st_mode):
        target = str((folder / path).readlink())
        if escapes(path, target):
            return PluginError(
                f'this link leads out of the plugin: "{target}"',
                where=where,
                mend=f"Copy what it names, or see {FILE}.",
            )
    elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return PluginError("this is neither a file nor a folder", where=where, mend=f"Remove it, or see {FILE}.")
    elif status.st_size > _LARGEST:
        return PluginError("this file is too large for an archive", where=where, expected="less than 4 GB")
    elif not os.access(folder / path, os.R_OK):
        return PluginError("this cannot be read", where=where, mend=f"Give it the right to be read, or see {FILE}.")
    return None


def _copy(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISDIR(mode):
        target.mkdir()
    else:
        shutil.copyfile(source, target)
        target.chmod(_fixed(mode))


def _settle(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        path.chmod(_fixed(mode))
    os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def _fixed(mode: int) -> int:
    """The mode in the archive of what has *mode*, and is no link."""
    if stat.S_ISDIR(mode):
        return _FOLDER
    return _PROGRAM if mode & 0o100 else _FILE
