"""Unfinished injections: the copies of those that were killed before the file was in its queue.

Who injects has the file still, since it goes last: so what was begun is taken back, in the trace as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.file import File
from mfdata.recovery.sweeper import Sweeper
from mfdata.storage.folder_listing import names_in
from mfdata.storage.places import Places
from mfdata.storage.tags import decode_tags, discard, forget_sidecar, read_tags, uid_of
from mfdata.storage.trace import Trace
from mfext.log import get_logger

log = get_logger(__name__)

#: Comes before the waiting name of what is being taken back; the others have a dot there.
_GONE = ".gone-"
_REASON = "who injected it ended before it was in its queue"


class UnfinishedInjections(Sweeper):
    """Takes injections back that have not changed for two looks: whoever made them is dead."""

    def __init__(self, places: Places, trace: Trace) -> None:
        super().__init__()
        self._places = places
        self._trace = trace

    def _all_paths(self) -> Iterator[Path]:
        names = names_in(self._places.intake, hidden=True)
        return (self._places.intake / name for name in names if name.startswith("."))

    def _leftovers(self, paths: set[Path]) -> Iterable[Path]:
        return paths

    def _end(self, leftovers: list[Path]) -> int:
        count = 0
        for path in leftovers:
            with suppress(FileNotFoundError):  # it lives, and was done in this moment
                self._take_back(path)
                count += 1
        return count

    def _take_back(self, path: Path) -> None:
        # Whoever has this name does not get it into a queue any more.
        waiting = path.name.removeprefix(_GONE).lstrip(".")
        gone = path.rename(path.with_name(_GONE + waiting))
        tags = read_tags(gone, self._places.sidecars)
        with suppress(FileNotFoundError):
            tags = tags or decode_tags((self._places.sidecars / waiting).read_bytes())
        if tags:
            own = {"uid": uid_of(tags), "name": File(gone, tags).basename, "file": waiting}
            self._trace.write({"event": "ignored", **own, "reason": _REASON})
        log.warning("an injection that was not finished is taken back", file=waiting)
        forget_sidecar(self._places.sidecars, waiting)
        discard(gone, self._places.sidecars)
