"""Recovery: what a dead worker had claimed returns to a defined state.

Any live process of the module may do it, at any time and any number of times: a worker's folder belongs to whoever
holds the flock of its ``.lock``, and each act is one rename that a successor finds done or not done.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mfdata.delivery.transaction import Transactions, remove_transaction
from mfdata.file import File
from mfdata.quarantine import quarantine
from mfdata.queue.worker_folder import (
    BATCH,
    GATHERING,
    KILLED,
    MARKS,
    claimed_files,
    remove_unfinished_copies,
    remove_worker_folder,
    worker_folders,
)
from mfdata.storage.names import COMMITTED, PREPARED, WorkerName, claimed_path, waiting_name
from mfdata.storage.places import LOCK, Places, Target, target_of_folder
from mfdata.storage.retag import retag
from mfdata.storage.tags import CRASHES, DIED_IN, Tags, before_entry, read_tags, uid_of
from mfdata.storage.trace import Trace
from mfext.clock import is_from_the_future
from mfext.fs.lock import try_lock
from mfext.log import get_logger
from mfext.supervision.exits import Exit, exit_of
from mfext.supervision.generation import is_over

log = get_logger(__name__)

_TRY_AGAIN_AFTER_S = 10.0
#: File times are some milliseconds coarse.
_COARSE_S = 0.1
_WITH_ALL = "the worker ended with its supervisor or with the machine, which says nothing against the file"


class Recovery:
    """Looks after dead workers for one process."""

    def __init__(self, places: Places, trace: Trace, *, max_crashes: int, durable: bool = False) -> None:
        self._places = places
        self._trace = trace
        self._max_crashes = max_crashes
        self._not_before: dict[Path, float] = {}
        self._durable = durable
        self._transactions = Transactions(places, durable=durable)

    def recover(self, target: Target | None = None) -> int:
        """Bring back what dead workers, of *target* or of all steps, had; the number of files that were."""
        count = 0
        for folder in worker_folders(self._places, target):
            if time.monotonic() >= self._not_before.get(folder, 0.0):
                count += self._try(folder, target_of_folder(folder.parent.name))
        return count

    def _try(self, folder: Path, target: Target) -> int:
        """Bring back what one worker had; what cannot be now (a full disk) is tried again and holds up nothing else."""
        try:
            with _dead(folder) as dead:
                return self._recover_worker(folder, target) if dead else 0
        except (OSError, ValueError) as error:  # ValueError: a disk gave back other tags than it got
            log.error("what a dead worker had cannot be brought back yet", folder=str(folder), reason=str(error))
            self._not_before[folder] = time.monotonic() + _TRY_AGAIN_AFTER_S
            return 0

    def _recover_worker(self, folder: Path, target: Target) -> int:
        """Finish or take back all that is in *folder*, then remove it."""
        cause = _cause_of_death(self._places, folder, target)
        remove_unfinished_copies(folder)
        committed = sorted(path for path in folder.iterdir() if path.name.endswith(COMMITTED) and path.is_dir())
        for transaction in committed:
            self._finish(transaction, target)
        claimed = sorted(claimed_files(folder))
        is_batch = (folder / BATCH).exists()
        if (folder / GATHERING).exists():
            cause["counts"] = False
        if cause["file"] not in ("", *(path.name for path in claimed)):
            # It went on to the next one in the moment in which it was killed.
            cause |= {"counts": False, "reason": f"{cause['reason']}, with the file before"}
        fault: Exception | None = None
        for path in claimed:
            try:
                self._take_back(path, target, cause, may_keep=not is_batch)
            except (OSError, ValueError) as error:
                fault = error  # the others are no worse for it
        if fault:
            raise fault
        self._keep_unexpected(folder, target)
        for prepared in [path for path in folder.iterdir() if path.name.endswith(PREPARED)]:
            remove_transaction(prepared)
        remove_worker_folder(folder)
        return len(claimed) + len(committed)

    def _keep_unexpected(self, folder: Path, target: Target) -> None:
        """Quarantine what was not claimed under a waiting name: somebody put it into the queue by hand."""
        for path in sorted(folder.iterdir()):
            if path.name not in MARKS and not path.name.endswith(PREPARED):
                own = path.rename(path.with_name(waiting_name(os.fsencode(path.name))))
                reason = f'"{path.name}" was with a dead worker, and is no file that mfdata took in'
                event = _event_of("quarantined", {}, path, target) | {"kind": "stranger", "reason": reason}
                self._trace.write(event)
                facts = {"kind": "stranger", "reason": reason, "name": path.name}
                quarantine.keep(self._places, own, target, {}, facts, durable=self._durable)

    def _finish(self, committed: Path, target: Target) -> None:
        claimed = claimed_path(committed)
        tags: Tags = {}
        with suppress(FileNotFoundError):
            tags = read_tags(claimed, self._places.sidecars)
            self._trace.write(_event_of("delivered", tags, claimed, target) | {"reason": "finished after a crash"})
        for _, path in self._transactions.deliver(committed):
            self._trace.write(_event_of("placed", tags, claimed, target) | {"to": [str(path)]})

    def _take_back(self, path: Path, target: Target, cause: dict[str, Any], *, may_keep: bool) -> None:
        """Put a file back into its queue, or into quarantine when workers died on it too often, and on it alone."""
        # The worker may have died between its last word on the tags and the rename that publishes them.
        tags = before_entry(read_tags(path, self._places.sidecars), target.plugin, target.step)
        crashes = int(tags.get(CRASHES, b"0"))
        died_in = path.parent.name.encode()
        # Whoever took it back before us may have died between the tags and the rename.
        if cause["counts"] and tags.get(DIED_IN) != died_in:
            crashes += 1
            tags |= {CRASHES: str(crashes).encode(), DIED_IN: died_in}
        event = _event_of("recovered", tags, path, target) | {"crashes": crashes, "reason": cause["reason"]}
        if not cause["counts"]:
            event["counts"] = False
        if crashes < self._max_crashes or not may_keep:
            self._trace.write(event)
            retag(path, tags, self._places.sidecars, durable=self._durable)
            queue = self._places.queue(target)
            queue.mkdir(parents=True, exist_ok=True)
            path.rename(queue / path.name)
            return
        times = "once" if crashes == 1 else f"{crashes} times"
        reason = f"the worker died {times} on this file, last: {cause['reason']}"
        self._trace.write(event | {"event": "quarantined", "kind": cause["kind"], "reason": reason})
        facts = {"kind": cause["kind"], "reason": reason, "log": cause["log"]}
        quarantine.keep(self._places, path, target, tags, facts, durable=self._durable)


@contextmanager
def _dead(folder: Path) -> Iterator[bool]:
    """Whether the worker of *folder* is dead; if so, *folder* is ours for the time being."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        with suppress(OSError):
            folder.rmdir()  # its lock went last
        yield False
        return
    try:
        yield _can_be_locked(lock)
    finally:
        os.close(lock)


def _can_be_locked(lock: int) -> bool:
    # Between our open and our lock another may have done it all.
    return try_lock(lock) and os.fstat(lock).st_nlink > 0


def _cause_of_death(places: Places, folder: Path, target: Target) -> dict[str, Any]:
    """Why the worker of *folder* died, as far as anybody noted."""
    killed: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        killed = json.loads((folder / KILLED).read_bytes())
    process = f"step.{target.folder}"
    worker = WorkerName.parsed(folder.name)
    end = None if killed else _exit(places, process, worker.pid, folder)
    ended_with_all = not killed and not end and is_over(worker.generation)
    return {
        "reason": str(killed.get("reason") or end or (_WITH_ALL if ended_with_all else "the worker died")),
        "kind": killed.get("kind", "poison"),
        "file": str(killed.get("file") or ""),
        # Neither a stop that did not wait long enough nor the end of everything says anything against the file.
        "counts": not (ended_with_all or (end and end.overdue)),
        "log": _last_lines(places, process),
    }


def _exit(places: Places, process: str, pid: int, folder: Path) -> Exit | None:
    """How the process ended; the supervisor notes it some milliseconds after the lock is free."""
    began = (folder / LOCK).stat().st_mtime
    for _ in range(10):
        found = exit_of(places.home, process, pid)
        # Another may have had that number before.
        if found and (found.time >= began - _COARSE_S or is_from_the_future(began)):
            return found
        if not (places.home.run / "ready" / process / str(pid)).exists():
            return None
        time.sleep(0.01)
    return None


def _last_lines(places: Places, process: str, count: int = 20) -> list[str]:
    with suppress(OSError), (places.home.log / f"{process}.out").open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 8192))
        return stream.read().decode("utf-8", "replace").splitlines()[-count:]
    return []


def _event_of(event: str, tags: Tags, path: Path, target: Target) -> dict[str, object]:
    name = File(path, tags).basename
    return {"event": event, "uid": uid_of(tags), "name": name, "plugin": target.plugin, "step": target.step}
