"""Guardian: once a second, files whose retry is due go back to their queues, and workers that are stuck are killed.

It also lets what has been in quarantine for too long expire, and tags and reasons whose file is not there.
"""

from __future__ import annotations

import heapq
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mfdata.orphans import Orphans
from mfdata.places import LOCK, Places, Target, target_of_folder
from mfdata.reasons import Reasons
from mfdata.recovery import KILLED, Recovery, claimed_file
from mfdata.trace import encoded
from mfext.log import get_logger

log = get_logger(__name__)

#: Tells the seconds that one file may take in each step as the configuration is now; 0 or none = any.
Timeouts = Callable[[], Mapping[Target, float]]

#: Names of due files taken from one listing: bounds the memory with a million files waiting.
_LISTING = 10_000
#: A folder that changes all the time is listed no more often than this many times what a listing costs.
_RENEW_COST = 20
#: Length of the due time, in microseconds, that begins the names of delayed files.
_DUE_DIGITS = 16
#: Between two looks at all workers' locks, in case that a death was not seen.
_RECOVER_EVERY_S = 60.0
#: A clock that went back by more than this was set.
_CLOCK_SET_S = 1.0
#: File times are some milliseconds coarse: what changed just now may change again without showing.
_COARSE_S = 0.1


class Guardian:
    """Looks after what no worker looks after."""

    def __init__(self, places: Places, recovery: Recovery, timeouts: Timeouts, *others: Callable[[], object]) -> None:
        """*others* are looks at what else ends or is mended in time, each of which knows when it is due."""
        self.delays = Delays(places)
        self.watch = Watch(places, timeouts)
        self._recovery = recovery
        self._acts = [
            self.delays.put_back,
            self.watch.kill_stuck,
            self._recover,
            Orphans(places).look,
            Reasons(places).look,
            *others,
        ]
        self._recover_at = 0.0
        self._trouble = ""

    def look(self) -> None:
        """Do all that is to be done now."""
        trouble = ""
        for act in self._acts:
            try:
                act()
            except OSError as error:  # a full disk: what could not be done is done another time
                trouble = str(error)
        if trouble and trouble != self._trouble:
            log.error("files cannot be put back into their queues", reason=trouble)
        self._trouble = trouble

    def _recover(self) -> None:
        """Bring back what dead workers had; from time to time also where nobody seems to be dead."""
        now = time.monotonic()
        if self.watch.has_dead() or now >= self._recover_at:
            self._recovery.recover()
            self._recover_at = now + _RECOVER_EVERY_S


class Names:
    """The names in a folder that are not hidden, listed again only when they may have changed."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._modified: int | None = None
        self._names: list[str] = []

    def now(self) -> list[str]:
        """The names at present; none when there is no such folder."""
        modified = _settled_mtime(self.folder)
        if modified is None or modified != self._modified:
            self._modified = modified
            try:
                self._names = [name for name in os.listdir(self.folder) if not name.startswith(".")]
            except (FileNotFoundError, NotADirectoryError):
                self._names = []
        return self._names


@dataclass
class _Delayed:
    """What is known of one folder of delayed files."""

    #: Its time of change when it was listed; None = it was not, or may have changed since without showing.
    modified: int | None = None
    #: The first names, in order of their due times.
    names: list[str] = field(default_factory=list)
    #: There were more of them.
    more: bool = False
    list_again_at: float = 0.0


class Delays:
    """Brings delayed files back to their queues when they are due.

    Due times are of the wall clock, for they outlast restarts. When that clock is set back, everything that waits
    goes back at once: an early try does no harm, one that comes a year late does.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._steps = Names(os.fspath(places.delays))
        self._folders: dict[str, _Delayed] = {}
        self._ahead = time.time() - time.monotonic()

    def put_back(self) -> int:
        """Put back what is due; how many files that were."""
        until = time.time()
        if self._was_set_back():
            log.warning("the clock was set back: every file that waits for a retry is tried now")
            until = float("inf")
        count, fault = 0, None
        for step in self._steps.now():
            try:
                count += self._put_back(step, until)
            except OSError as error:
                fault = error  # the files of the other steps are no worse for it
        if fault:
            raise fault
        return count

    def _was_set_back(self) -> bool:
        before, self._ahead = self._ahead, time.time() - time.monotonic()
        return self._ahead < before - _CLOCK_SET_S

    def _put_back(self, step: str, until: float) -> int:
        folder = f"{self._steps.folder}/{step}"
        is_new = folder not in self._folders
        known = self._folders.setdefault(folder, _Delayed())
        self._refresh(folder, known)
        if not known.names:
            return 0
        due = 0
        while due < len(known.names) and _due(known.names[due]) <= until:
            due += 1
        early = {name for name in known.names[due:] if is_new and _is_from_the_future(f"{folder}/{name}")}
        queue = self._places.queue(target_of_folder(step))
        for name in [*known.names[:due], *early]:
            _rename_back(Path(folder, name), queue)
        known.names = [name for name in known.names[due:] if name not in early] if early else known.names[due:]
        return due + len(early)

    def _refresh(self, folder: str, known: _Delayed) -> None:
        """List *folder* if it may have changed since, and if that does not cost too much."""
        modified, start = _settled_mtime(folder), time.monotonic()
        is_known = modified is not None and modified == known.modified and (known.names or not known.more)
        if is_known or (known.names and start < known.list_again_at):
            return
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            known.names = heapq.nsmallest(_LISTING, (one.name for one in entries if is_delayed(one.name)))
        known.modified, known.more = modified, len(known.names) == _LISTING
        known.list_again_at = start + _RENEW_COST * (time.monotonic() - start)


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
        pid = self.folder.name.partition("-")[0]
        self.pid = int(pid) if pid.isdecimal() else 0
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
        modified = _settled_mtime(self._path)
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
        part = self.folder / f".{KILLED}"
        part.write_text(encoded({"kind": "timeout", "reason": reason, "file": self._file and self._file.name}))
        part.rename(self.folder / KILLED)


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


def _settled_mtime(folder: str) -> int | None:
    """Time of the last change of *folder*; None when the next one might not show, or it is gone."""
    with suppress(FileNotFoundError):
        modified = os.stat(folder).st_mtime_ns
        if time.time() - modified / 1e9 > _COARSE_S:
            return modified
    return None


def is_delayed(name: str) -> bool:
    """Whether *name* is that of a file that waits for a retry."""
    return name[:_DUE_DIGITS].isdecimal() and name[_DUE_DIGITS : _DUE_DIGITS + 1] == "-"


def undelayed(name: str) -> str:
    """The waiting name of the file that is called *name* while it waits for a retry."""
    return name[_DUE_DIGITS + 1 :]


def _due(name: str) -> float:
    return int(name[:_DUE_DIGITS]) / 1e6


def _is_from_the_future(path: str) -> bool:
    """Whether *path* was put where it is by a clock that has been set back since."""
    with suppress(FileNotFoundError):
        return os.lstat(path).st_ctime > time.time() + _CLOCK_SET_S
    return False


def _rename_back(path: Path, queue: Path) -> None:
    waiting = queue / undelayed(path.name)
    try:
        path.rename(waiting)
    except FileNotFoundError:
        if path.exists():
            queue.mkdir(parents=True, exist_ok=True)
            path.rename(waiting)
