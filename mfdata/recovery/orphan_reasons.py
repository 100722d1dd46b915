"""Orphan reasons: each file in quarantine has a reason, and each reason a file, whoever died between the two."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.file import File
from mfdata.quarantine.quarantine import REASON, forget_reason, quarantine_lock, write_reason
from mfdata.recovery.sweeper import Sweeper
from mfdata.storage.folder_listing import names_in
from mfdata.storage.places import Places, target_of_folder
from mfdata.storage.tags import read_tags, uid_of
from mfext.errors import Conflict
from mfext.log import get_logger

log = get_logger(__name__)

_LOST = "its reason was lost; mfdata.trace may tell why it was kept"


class OrphanReasons(Sweeper):
    """Removes reasons that belong to no file, and gives files without one a reason.

    A reason comes before its file and goes after it: a file without one has lost it, which one look tells.
    """

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places

    def _look(self) -> int:
        if self._places.quarantines.is_dir():
            with (
                suppress(Conflict),
                quarantine_lock(self._places, wait=0.0),
            ):  # otherwise somebody is at work: another time
                return super()._look()
        return 0

    def _all_paths(self) -> Iterator[Path]:
        folders = (self._places.quarantines / name for name in names_in(self._places.quarantines))
        return (folder / name for folder in folders for name in names_in(folder))

    def _leftovers(self, paths: set[Path]) -> Iterable[Path]:
        return filter(_is_alone, paths)

    def _is_certain(self, path: Path) -> bool:
        return not self._is_reason(path)

    def _end(self, leftovers: list[Path]) -> int:
        return sum(self._end_reason(path) if self._is_reason(path) else self._add_reason(path) for path in leftovers)

    def _is_reason(self, path: Path) -> bool:
        """Whether the lone *path* is a reason; a producer's file may end like one, but has tags."""
        return path.name.endswith(REASON) and not _has_tags(path, self._places)

    def _end_reason(self, reason: Path) -> bool:
        """Remove *reason*, unless its file has come in this moment; whether that was done."""
        if not _is_alone(reason):
            return False
        forget_reason(reason.with_name(reason.name.removesuffix(REASON)))
        log.info("a reason in quarantine that belongs to no file is removed", reason=str(reason))
        return True

    def _add_reason(self, path: Path) -> bool:
        """Give the file at *path* a reason, so that it is seen; whether it had none."""
        if not os.path.lexists(path) or os.path.lexists(f"{path}{REASON}"):
            return False
        target = target_of_folder(path.parent.name)
        tags = read_tags(path, self._places.sidecars)
        own = {"plugin": target.plugin, "step": target.step, "uid": uid_of(tags), "name": File(path, tags).basename}
        write_reason(path, {**own, "time": time.time(), "kind": "unknown", "reason": _LOST})
        log.warning("a file in quarantine had lost its reason", file=str(path), uid=uid_of(tags))
        return True


def _is_alone(path: Path) -> bool:
    """Whether *path* is neither a file with a reason nor the reason of a file."""
    if os.path.lexists(f"{path}{REASON}"):
        return False
    return not (path.name.endswith(REASON) and os.path.lexists(path.with_name(path.name.removesuffix(REASON))))


def _has_tags(path: Path, places: Places) -> bool:
    with suppress(OSError, ValueError):
        return bool(read_tags(path, places.sidecars))
    return False
