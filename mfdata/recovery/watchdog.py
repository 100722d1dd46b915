"""Stuck: workers that have had one file for longer than their step allows are killed, after writing down why."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from mfdata.queue.worker_folder import KILLED, claimed_file
from mfdata.storage.folder_listing import Names, settled_mtime
from mfdata.storage.names import WorkerName
from mfdata.storage.places import LOCK, Places, Target, target_of_folder
from mfdata.storage.trace import encoded
from mfext.fs.atomic import replace_file
from mfext.log import get_logger

log = get_logger(__name__)

#: Tells the seconds that one file may take in each step as the configuration is now; 0 or none = any.
Timeouts = Callable[[], Mapping[Target, float]]


class Watch:
    """Sees workers come and go, and kills those that have had one file for longer than their step allows.

    Each worker is held by a pidfd, so that one poll() tells whether any has died.
    """

    def __init__(self, places: Places, timeouts: Timeouts) -> None:
        self._places = places
        self._timeouts = timeouts
        self._works = Names(os.fspath(places.works))
        self._steps: dict[str, Names] = {}
        self._workers: dict[str, _Worker] = {}
        self._poll = select.poll()

    def kill_stuck(self) -> list[int]:
        """Kill who is stuck now; their pids."""
        self._refresh()
        return [worker.pid for worker in self._workers.values() if worker.is_stuck() and worker.kill()]

    def has_dead(self) -> bool:
        """Whether any worker that has a folder may be dead."""
        return bool(self._poll.poll(0)) or any(worker.process < 0 for worker in self._workers.values())

    def _refresh(self) -> None:
        folders: dict[str, str] = {}
        for step in self._works.now():
            names = self._steps.get(step) or self._steps.setdefault(step, Names(f"{self._works.folder}/{step}"))
            for name in names.now():
                folders[f"{names.folder}/{name}"] = step
        for folder in self._workers.keys() - folders:
            self._forget(self._workers.pop(folder))
        came = folders.keys() - self._workers
        timeouts = self._timeouts() if came else {}
        for folder in came:
            worker = _Worker(folder, timeouts.get(target_of_folder(folders[folder]), 0.0))
            self._workers[folder] = worker
            if worker.process >= 0:
                self._poll.register(worker.process, select.POLLIN)

    def _forget(self, worker: _Worker) -> None:
        if worker.process >= 0:
            self._poll.unregister(worker.process)
            os.close(worker.process)


class _Worker:
    """What is known of one worker. Its timeout is that of the configuration in force when it started."""

    def __init__(self, folder: str, timeout: float) -> None:
        self.folder = Path(folder)
        self.timeout = timeout
        self.pid = WorkerName.parsed(self.folder.name).pid
        #: The pidfd of the process; -1 when it is dead, or nobody can tell.
        self.process = _process_of(self.pid, self.folder / LOCK)
        self._path = folder
        self._modified: int | None = None
        self._is_told = False
        self._file: Path | None = None
        self._since = 0.0

    def is_stuck(self) -> bool:
        """Whether it has been seen to have the file that it has for longer than it may."""
        if not self.timeout or self.process < 0:
            return False
        modified = settled_mtime(self._path)
        if modified is None or modified != self._modified:
            self._modified = modified
            file = claimed_file(self.folder)
            if file != self._file:
                self._file, self._since = file, time.monotonic()
        return self._file is not None and time.monotonic() - self._since > self.timeout

    def kill(self) -> bool:
        """Kill it after writing down why; whether that was possible."""
        with suppress(OSError):  # on a full disk it is killed all the same
            self._write_down()
        try:
            signal.pidfd_send_signal(self.process, signal.SIGKILL)
        except ProcessLookupError:
            return False
        _wait_for_end(self.process)
        return True

    def _write_down(self) -> None:
        if self._is_told:
            return  # the kernel has not been able to end it yet
        self._is_told = True
        reason = f"it took longer than timeout = {self.timeout:g} s"
        log.error("a worker was stuck and is killed", pid=self.pid, step=self.folder.parent.name, file=self._file)
        facts = {"kind": "timeout", "reason": reason, "file": self._file and self._file.name}
        replace_file(self.folder / KILLED, encoded(facts))


def _wait_for_end(process: int) -> None:
    """Give the kernel the moment that it needs, so that recovery finds the lock free at once."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll(100)


def _process_of(pid: int, lock: Path) -> int:
    """The pidfd of the process *pid*, if it is the one that holds *lock*; -1 otherwise."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return -1
    # Looked at after it was opened: a number may have passed on to somebody else.
    if _has_open(pid, lock):
        return process
    os.close(process)
    return -1


def _has_open(pid: int, path: Path) -> bool:
    """Whether the process *pid* has the file *path* open."""
    folder = Path(f"/proc/{pid}/fd")
    with suppress(OSError):
        wanted = path.stat()
        for descriptor in os.listdir(folder):
            with suppress(OSError):
                found = (folder / descriptor).stat()
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return True
    return False
