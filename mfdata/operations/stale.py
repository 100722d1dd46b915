"""Left: what stays in incoming directories, and why; producers see only that nobody takes it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from mfdata.intake.completeness import ignored_names
from mfdata.intake.intake import kind_of
from mfext.clock import age, is_older

_WORTH_TELLING_S = 60.0
#: So many names of a directory are looked at: in a backlog the others are no different.
_LOOKED_AT = 10_000


def left_over(directories: Iterable[Path], ignore: Iterable[str]) -> list[dict[str, Any]]:
    """The incoming directories that are not there, or hold something for more than a minute, with the oldest of it.

    Args:
        directories: all of them.
        ignore: the patterns of names that are left alone on purpose.
    """
    ignored = ignored_names(ignore)
    found: list[dict[str, Any]] = []
    for directory in directories:
        try:
            old = [one for one in _old(directory) if not ignored.match(one[1])]
        except OSError as error:
            found.append({"directory": str(directory), "reason": error.strerror})
            continue
        if old:
            since, name = min(old)
            row: dict[str, Any] = {"directory": str(directory), "count": len(old), "oldest": name}
            found.append(row | {"seconds": round(age(since), 1), "reason": _reason(directory, name)})
    return found


def _old(directory: Path) -> Iterator[tuple[float, str]]:
    now = time.time()
    with os.scandir(directory) as entries:
        for entry in islice(entries, _LOOKED_AT):
            with suppress(FileNotFoundError):
                # The time of the file may be anything; this one is set by what brought it here.
                since = entry.stat(follow_symlinks=False).st_ctime
                if is_older(since, _WORTH_TELLING_S, now):
                    yield since, entry.name


def _reason(directory: Path, name: str) -> str:
    path = directory / name
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            return f"it is {kind_of(mode)}"
        if not os.access(path, os.R_OK):
            return "it may not be read"
    if not os.access(directory, os.W_OK | os.X_OK):
        return "the directory may not be written"
    return "it is still being written, intake pauses, or the observer does not run"
