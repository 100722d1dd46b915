"""Intake: take one complete file from an external directory into the queue of its step, exactly once."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mfdata.config import Incoming, Safety
from mfdata.intake.arrival import Arrival, arrival_of
from mfdata.intake.completeness import Decision, StablePeriods, Writers, decide, ignored_names
from mfdata.intake.copy_in import Transfers
from mfdata.intake.directories import ExternalDirectory, is_shared
from mfdata.intake.presynced import Ready, ReadyFiles
from mfdata.storage.group_commit import GroupSync
from mfdata.storage.names import waiting_name
from mfdata.storage.placement import NUMBER, place
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import forget_sidecar, read_tags, uid_of, write_tags
from mfdata.storage.trace import Trace, events, last_event, time_of
from mfext.fs.sync import make_synced_folder, sync_file

#: Device and inode of none.
_NO_FILE = (-1, -1)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


class WriteAhead(NamedTuple):
    """An arrival that is written in the trace and not yet in its queue: there is at most one at any time."""

    arrival: Arrival
    device: int
    inode: int


class UnexpectedFile(NamedTuple):
    """Something in an external directory that is not taken, to be reported once."""

    path: str
    reason: str


class Closed(OSError):
    """Nothing can be put into the queue: that is no file's fault, and the next one would fare no better."""


class Intake:
    """Takes files. One process of a home at a time has one.

    A file that is renamed in gets its tags first, then its trace line, then the rename. The line is
    written ahead: an arrival that is cut off between the last two is replayed, with the same uid, before anything else
    is taken.
    """

    def __init__(self, places: Places, settings: Incoming, safety: Safety, trace: Trace) -> None:
        self.transfers = Transfers(places, trace, durable=safety.durability == "power")
        self.stable_periods = StablePeriods()
        self.unexpected_files: list[UnexpectedFile] = []
        self.places = places
        self._sidecars = places.sidecars
        self._settings = settings
        self._ignored = ignored_names(settings.ignore)
        self._durable = safety.durability == "power"
        self._trace = trace
        self._group = GroupSync()
        self._ready = ReadyFiles()
        self._write_ahead: WriteAhead | None = None
        self._shared: dict[int, bool] = {}
        self._queues: dict[str, tuple[str, int]] = {}

    def take(self, directory: ExternalDirectory, name: str, *, was_closed: bool) -> Decision:
        """Take the file *name*, if it is one and complete.

        Args:
            directory: in which it is.
            name: as ``os.fsdecode`` gives it.
            was_closed: an event said that it was closed after writing, or renamed in.

        Raises:
            OSError: neither this file nor another one can be taken now (full disk).
        """
        if self._ignored.match(name):
            return Decision.GONE
        if self._write_ahead and (os.fspath(directory.path), name) != self._write_ahead.arrival[:2]:
            self.finish_write_ahead()
        path = f"{directory.path}/{name}"
        try:
            return self._take(directory, name, path, was_closed)
        except (FileNotFoundError, NotADirectoryError):
            self.stable_periods.forget(path)
            return Decision.GONE
        except Closed:
            raise
        except OSError as error:
            if error.errno not in _NO_RIGHT and error.errno != errno.ELOOP:
                raise
            return self._leave(path, error.strerror or "no permission")

    def prepare(self, directory: ExternalDirectory, names: Sequence[str]) -> None:
        """Do at once for several files what the disk does no faster for one; :meth:`take` then has less to do.

        Raises:
            OSError: the disk fails.
        """
        if self._durable and len(names) > 1 and not self._write_ahead:
            for name in names:
                if not self._ignored.match(name) and f"{directory.path}/{name}" not in self._ready:
                    # Why it could not be prepared is reported when it is taken.
                    with suppress(OSError):
                        self._prepare(directory, name, f"{directory.path}/{name}")
            self._ready.sync()

    def sync(self) -> None:
        """Bring to disk where the files went that were taken; whoever waits does so before.

        Raises:
            OSError: the disk fails; the next call tries again.
        """
        self._ready.clear()
        self._group.sync()

    @property
    def has_write_ahead(self) -> bool:
        """Whether a file is written in the trace that has not reached its queue."""
        return self._write_ahead is not None

    def finish_write_ahead(self) -> None:
        """Take the file that was written ahead last, or record in the trace that it could not be.

        Raises:
            OSError: neither is possible now.
        """
        entry = self._write_ahead
        if entry is None:
            return
        arrival = entry.arrival
        directory = ExternalDirectory(self.places.home.path / arrival.directory, Target.of(arrival.target))
        self.take(directory, arrival.name, was_closed=True)
        if self._write_ahead is entry:
            self._cancel_write_ahead("it was changed or removed before it could be taken")

    def replay_write_ahead(self, process: str) -> None:
        """Find out whether *process* died between the trace line of a file and its rename."""
        event = last_event(self.places.home, process, "accepted")
        if event is None:
            return
        with suppress(KeyError, ValueError, IndexError):  # a line of another version
            arrival = _arrival_of_event(event)
            marked = self._marked(arrival)
            is_transfer = marked == _NO_FILE and self.transfers.intent(arrival).exists()
            if not is_transfer and not self._went_on(arrival, time_of(event)):
                self._write_ahead = WriteAhead(arrival, *marked)

    def _went_on(self, arrival: Arrival, since: float) -> bool:
        """Whether *arrival* reached its queue: an old file that comes in again may still have its tags."""
        places = (
            self.places.queue(Target.of(arrival.target)) / arrival.waiting,
            *self.places.work(Target.of(arrival.target)).glob(f"*/{arrival.waiting}"),
        )
        if any(os.path.lexists(path) for path in places):
            return True
        # A clock that was set back since would let old pieces be skipped that are not.
        later = events(self.places.home, since - 1 if since < time.time() else None, arrival.uid.encode())
        return any(event.get("uid") == arrival.uid and event.get("event") != "accepted" for event in later)

    def _marked(self, arrival: Arrival) -> tuple[int, int]:
        """Device and inode of the file that got the tags of *arrival*, if it is where it was found."""
        with suppress(OSError):
            status = os.lstat(arrival.path)
            has_tags = uid_of(read_tags(arrival.path, self._sidecars)) == arrival.uid
            if has_tags or (self._sidecars / arrival.waiting).exists():
                return status.st_dev, status.st_ino
        return _NO_FILE

    def _prepare(self, directory: ExternalDirectory, name: str, path: str) -> None:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return
        descriptor = _opened(path)
        is_ready = False
        try:
            status = os.fstat(descriptor)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            is_near = status.st_dev == self._queue(str(directory.target))[1]
            if is_ours and is_near and self._writers(descriptor, status) is Writers.NONE:
                arrival = self._arrival(directory, name, status)
                is_ready = write_tags(path, arrival.tags, self._sidecars, arrival.waiting)
                if is_ready:
                    self._ready.add(Ready(arrival, descriptor, status))
                else:
                    forget_sidecar(self._sidecars, arrival.waiting)
        finally:
            if not is_ready:
                os.close(descriptor)

    def _take_ready(self, ready: Ready) -> bool:
        """Take a file that is on disk already; whether that was possible."""
        # The order of the names is that of the renames: who lists the queue meanwhile relies on it.
        waiting = waiting_name(os.fsencode(ready.arrival.name), ready.arrival.priority)
        arrival = ready.arrival._replace(waiting=waiting)
        try:
            return self._rename_in(arrival, ready.descriptor, ready.status, is_ready=True)
        finally:
            os.close(ready.descriptor)

    def _take(self, directory: ExternalDirectory, name: str, path: str, was_closed: bool) -> Decision:
        ready = self._ready.pop(path)
        if ready and self._take_ready(ready):
            self.stable_periods.forget(path)
            return Decision.TAKE
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return self._leave(path, f"it is {kind_of(status.st_mode)}")
        descriptor = _opened(path)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return self._leave(path, "it is no longer a file")
            decision = self._decide(path, descriptor, status, was_closed)
            if decision is not Decision.TAKE:
                return decision
            arrival = self._identity(directory, name, status)
            if not self._rename_in(arrival, descriptor, status):
                self._copy_in(arrival)
        finally:
            os.close(descriptor)
        self.stable_periods.forget(path)
        return Decision.TAKE

    def _decide(self, path: str, descriptor: int, status: os.stat_result, was_closed: bool) -> Decision:
        writers = self._writers(descriptor, status)
        if writers is not Writers.UNKNOWN or was_closed:
            return decide(writers, was_closed, 0.0, self._settings.stable_for)
        unchanged_for = self.stable_periods.seconds(path, status, time.monotonic())
        return decide(writers, was_closed, unchanged_for, self._settings.stable_for)

    def _writers(self, descriptor: int, status: os.stat_result) -> Writers:
        """What a read lease tells, which ends when the file is closed."""
        shared = self._shared.get(status.st_dev)
        if shared is None:
            shared = self._shared[status.st_dev] = is_shared(status.st_dev)
        if shared:
            return Writers.UNKNOWN
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN
        return Writers.NONE

    def _identity(self, directory: ExternalDirectory, name: str, status: os.stat_result) -> Arrival:
        entry = self._write_ahead
        if entry and (entry.device, entry.inode) == (status.st_dev, status.st_ino):
            return entry.arrival
        self._cancel_write_ahead("another file took its place before it could be taken")
        return self._arrival(directory, name, status)

    def _arrival(self, directory: ExternalDirectory, name: str, status: os.stat_result) -> Arrival:
        path = os.fspath(directory.path)
        priority = self._settings.priority if directory.priority is None else directory.priority
        return arrival_of(path, name, directory.target, status.st_size, priority)

    def _rename_in(self, arrival: Arrival, descriptor: int, status: os.stat_result, *, is_ready: bool = False) -> bool:
        """Take a file of our own by one rename; whether that was possible."""
        queue, device = self._queue(arrival.target)
        if not is_ready:
            if status.st_nlink != 1 or status.st_dev != device or not self._tag(arrival):
                return False
            if self._durable:
                sync_file(arrival.path)
        self._write_ahead = WriteAhead(arrival, status.st_dev, status.st_ino)
        self._trace.write(arrival.accepted)
        waiting = f"{queue}/{arrival.waiting}"
        try:
            os.rename(arrival.path, waiting)
        except OSError as error:
            return self._not_renamed(arrival, descriptor, status, queue, error)
        self._write_ahead = None
        if not os.fstat(descriptor).st_nlink:
            self._replaced(arrival, waiting)
        if self._durable:
            self._group.renamed(arrival.directory, queue)
        return True

    def _copy_in(self, arrival: Arrival) -> None:
        try:
            self.transfers.bring(arrival)
        finally:
            # Once it has left its name, the transfer sees to the end of it.
            if not os.path.lexists(arrival.path):
                self._write_ahead = None

    def _queue(self, target: str) -> tuple[str, int]:
        """The folder of the queue of *target* and its file system."""
        found = self._queues.get(target)
        if found is None:
            path = os.fspath(self.places.queue(Target.of(target)))
            self._make_folder(path)
            found = self._queues[target] = path, os.stat(path).st_dev
        return found

    def _make_folder(self, path: str) -> None:
        if self._durable:
            make_synced_folder(Path(path))
        else:
            os.makedirs(path, exist_ok=True)

    def _tag(self, arrival: Arrival) -> bool:
        try:
            write_tags(arrival.path, arrival.tags, self._sidecars, arrival.waiting, sync=self._durable)
        except OSError as error:
            if error.errno in _NO_RIGHT:
                return False
            raise
        return True

    def _not_renamed(
        self, arrival: Arrival, descriptor: int, status: os.stat_result, queue: str, error: OSError
    ) -> bool:
        if error.errno == errno.ENOENT and not os.path.isdir(queue):
            self._make_folder(queue)
            return self._rename_in(arrival, descriptor, status)
        if error.errno == errno.EXDEV:
            return False  # mounted from another part of the same disk
        if error.errno in _NO_RIGHT and not os.access(queue, os.W_OK | os.X_OK):
            # The entry stands, and is replayed when the queue is open again.
            raise Closed(error.errno, error.strerror, queue)
        if error.errno in (errno.ENOENT, *_NO_RIGHT):
            self._cancel_write_ahead(error.strerror or str(error))
        raise error

    def _replaced(self, arrival: Arrival, waiting: str) -> None:
        """A producer put another file in the place of the one that was looked at: that one waits now, untagged."""
        with suppress(FileNotFoundError):
            if stat.S_ISREG(os.lstat(waiting).st_mode):
                write_tags(waiting, arrival.tags, self._sidecars, sync=self._durable)
                if self._durable:
                    sync_file(waiting)
            else:
                place(waiting, Path(arrival.path), NUMBER)  # another one may have come by that name

    def _cancel_write_ahead(self, reason: str) -> None:
        if self._write_ahead:
            self._trace.write(self._write_ahead.arrival.not_taken(reason))
            self._write_ahead = None

    def _leave(self, path: str, reason: str) -> Decision:
        self.stable_periods.forget(path)
        self.unexpected_files.append(UnexpectedFile(path, reason))
        return Decision.UNEXPECTED


def _arrival_of_event(event: dict[str, object]) -> Arrival:
    return Arrival(
        directory=str(event["directory"]),
        name=str(event["name"]),
        target=str(event["to"][0]),  # type: ignore[index]
        uid=str(event["uid"]),
        waiting=str(event["file"]),
        priority=int(str(event["file"])[0]),
        size=int(str(event["size"])),
    )


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def kind_of(mode: int) -> str:
    """What something that is not a regular file is, with its article."""
    for test, words in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a fifo"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return words
    return "a device"
