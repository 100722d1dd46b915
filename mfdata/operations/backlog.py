"""Backlog: what waits for each step, in which state, since when, and how fast it goes."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mfdata.quarantine.quarantine import REASON, files_with_reason
from mfdata.queue.worker_folder import claimed_files as files_in_hand
from mfdata.queue.worker_folder import worker_folders
from mfdata.storage.folder_listing import names_in
from mfdata.storage.names import due_time, is_delayed, undelayed, waiting_since, waiting_time
from mfdata.storage.places import Places, Target, target_of_folder
from mfdata.storage.tags import Tags, decode_tags, read_tags
from mfdata.storage.trace import counts
from mfext.clock import TOLERANCE_S, age
from mfext.table import duration

_QUEUE = "step."
_RATE_S = 60.0
#: Events of a step that has dealt with a file, and of one that has not.
_DONE, _FAILED = ("done", "dropped", "expired"), ("failed", "retried", "quarantined")


@dataclass(frozen=True)
class Backlog:
    """What one step has before it."""

    target: Target
    waiting: int
    #: Seconds for which the file that came first has been waiting, by the time in its name; None when none waits.
    oldest: float | None
    claimed: int
    delayed: int
    quarantined: int
    #: Files that the step dealt with in the last minute.
    done: int
    #: Tries that failed in the last minute.
    failed: int

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON."""
        facts = asdict(self) | {"plugin": self.target.plugin, "step": self.target.step}
        del facts["target"]
        return {"name": str(self.target), **facts}


def backlogs(places: Places, known: Iterable[Target] = ()) -> list[Backlog]:
    """The backlog of every step: of the *known* ones, and of all for which there are files."""
    now = time.time()
    recent = counts(places.home, now - _RATE_S, now + TOLERANCE_S)
    return [backlog(places, target, recent) for target in sorted({*known, *targets_on_disk(places)})]


def backlog(places: Places, target: Target, recent: Counter[tuple[str, str, str]]) -> Backlog:
    """The backlog of *target*; *recent* are the events of the last minute, as ``trace.counts`` gives them."""
    waiting, oldest = _waiting(places.queue(target))

    def happened(kinds: Iterable[str]) -> int:
        return sum(recent[target.plugin, target.step, kind] for kind in kinds)

    return Backlog(
        target,
        waiting=waiting,
        oldest=oldest,
        claimed=sum(1 for _ in claimed_files(places, target)),
        delayed=sum(1 for _ in names_in(places.delayed(target))),
        quarantined=sum(1 for _ in files_with_reason(places.quarantine(target))),
        done=happened(_DONE),
        failed=happened(_FAILED),
    )


def put_aside(places: Places) -> list[dict[str, Any]]:
    """The files that no step looks at now: in quarantine, and delayed; how many, and for how long the oldest is there.

    States of which there are none are left out.
    """
    kept = [path for target in targets_on_disk(places) for path in _reason_times(places.quarantine(target))]
    names = [
        name for target in targets_on_disk(places) for name in names_in(places.delayed(target)) if is_delayed(name)
    ]
    found: list[dict[str, Any]] = []
    if kept:
        found.append({"state": "quarantined", "files": len(kept), "oldest_s": round(age(min(kept)), 1)})
    if names:
        came = min((since for name in names if (since := waiting_since(undelayed(name)))), default=time.time())
        due = round(max(0.0, due_time(min(names)) - time.time()), 1)
        found.append({"state": "delayed", "files": len(names), "oldest_s": round(age(came), 1), "next_try_s": due})
    return found


def put_aside_text(row: Mapping[str, Any]) -> str:
    """A row of ``put_aside`` for a person (pure)."""
    said = f"{row['state']}: {row['files']} file(s), the oldest for {duration(row['oldest_s'])}"
    return f"{said}, next try in {duration(row['next_try_s'])}" if "next_try_s" in row else said


def _reason_times(folder: Path) -> Iterator[float]:
    """When the reason of each file in *folder* was written, in epoch seconds."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(REASON) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    yield entry.stat().st_mtime


def files_on_disk(places: Places) -> Iterator[tuple[str, Target, Path]]:
    """State, step and path of every file that a step has or will have."""
    for target in sorted(targets_on_disk(places)):
        for state, folder in (("waiting", places.queue(target)), ("delayed", places.delayed(target))):
            yield from ((state, target, folder / name) for name in names_in(folder))
        yield from (("claimed", target, path) for path in claimed_files(places, target))
        yield from (("quarantined", target, path) for path in files_with_reason(places.quarantine(target)))


def stored_tags(places: Places, path: Path) -> Tags:
    """The tags of a file in any state.

    Raises:
        FileNotFoundError: it has gone elsewhere.
    """
    tags = read_tags(path, places.sidecars)
    if not tags and is_delayed(path.name):
        with suppress(FileNotFoundError):
            return decode_tags((places.sidecars / undelayed(path.name)).read_bytes())
    return tags


def targets_on_disk(places: Places) -> set[Target]:
    """Every step that has a folder somewhere, whether its plugin is installed or not."""
    queues = {name.removeprefix(_QUEUE) for name in names_in(places.incoming) if name.startswith(_QUEUE)}
    others = {name for parent in (places.works, places.delays, places.quarantines) for name in names_in(parent)}
    return {target_of_folder(name) for name in queues | others if "." in name}


def claimed_files(places: Places, target: Target | None = None) -> Iterator[Path]:
    """The files that workers, alive or dead, of *target* or of all steps, have in hand."""
    for folder in worker_folders(places, target):
        yield from files_in_hand(folder)


def _waiting(queue: Path) -> tuple[int, float | None]:
    """How many files wait in *queue*, and the age of the oldest in seconds."""
    count, first = 0, ""
    for name in names_in(queue):
        count += 1
        came = waiting_time(name)
        # All are of one length, so that their order as text is that as numbers.
        if (not first or came < first) and len(came) == 16 and came.isdecimal():
            first = came
    return count, age(int(first) / 1e6) if first else None
