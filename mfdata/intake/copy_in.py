"""Transfer: a file that cannot be renamed in is copied in, exactly once, whenever the process dies.

That is a file that shares its inode with other names, whose attribute is not ours to write, or on another file
system. Below ``places.intake`` stand, for the waiting name W:

1. ``W.intent`` says what is going on; ``W`` is made, empty.
2. The file gets a hidden name in its directory: from then on no producer can replace it.
3. Its copy, complete with tags and on disk, takes the place of ``W``.
4. ``W`` is renamed into the queue: the one instant that counts.
5. The hidden file and the intent are removed.

Who finds an intent and a hidden file goes on with 3 when there is a ``W``, and with 5 when there is none, if the trace,
which tells of the file before 4, agrees.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from mfdata.intake.arrival import Arrival
from mfdata.intake.completeness import HIDDEN
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import write_tags
from mfdata.storage.trace import Trace, events
from mfext.fs.copy import copy
from mfext.fs.sync import make_synced_folder, sync_file, sync_folder

_INTENT = ".intent"
#: Left free when a file is copied, so that traces and reasons can still be written.
_RESERVE = 1 << 20


class Changing(OSError):
    """The file changed while it was copied."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EAGAIN, "the file changed while it was copied", path)


class Transfers:
    """Brings files in by copying."""

    def __init__(self, places: Places, trace: Trace, *, durable: bool = False) -> None:
        self._places = places
        self._folder = os.fspath(places.intake)
        self._trace = trace
        self._durable = durable

    def bring(self, arrival: Arrival) -> None:
        """Bring one file in.

        Raises:
            PermissionError: it cannot be read, or not be removed; nothing has happened.
            OSError: it could not be copied; nothing has happened, or :meth:`resume` goes on with it.
        """
        os.close(os.open(arrival.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        intent = self._write_intent(arrival)
        try:
            _need_room(self._folder, arrival.size)
            os.close(os.open(self._copy(arrival), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
            if self._durable:
                sync_folder(self._folder)  # that W is gone shall mean one thing only
            os.rename(arrival.path, _hidden(arrival))
        except OSError:
            self._forget(arrival, intent)
            raise
        if self._durable:
            sync_folder(arrival.directory)
        self._finish(arrival, intent)

    def intent(self, arrival: Arrival) -> Path:
        """Where it is written that *arrival* is being brought in."""
        return Path(f"{self._copy(arrival)}{_INTENT}")

    def pending(self) -> list[Path]:
        """The intents of what has begun and not ended."""
        return sorted(self._places.intake.glob(f"*{_INTENT}"))

    def resume(self) -> list[OSError]:
        """Go on with everything that has begun; what still does not work."""
        errors = []
        for intent in self.pending():
            try:
                self._resume(intent)
            except OSError as error:
                errors.append(error)
        return errors

    def _resume(self, intent: Path) -> None:
        try:
            known = json.loads(intent.read_bytes())
            arrival, device = Arrival(**known["arrival"]), known["device"]
        except (ValueError, TypeError, KeyError):
            # Cut off while it was written: nothing else has happened.
            intent.unlink()
            return
        if os.stat(arrival.directory).st_dev != device:
            raise FileNotFoundError(errno.ENOENT, "the file system that was there is not mounted", arrival.directory)
        if os.path.lexists(_hidden(arrival)):
            if os.path.lexists(self._copy(arrival)) or not self._is_in_trace(arrival, intent):
                self._finish(arrival, intent)
                return
            os.unlink(_hidden(arrival))
        self._forget(arrival, intent)

    def _finish(self, arrival: Arrival, intent: Path) -> None:
        hidden, target = _hidden(arrival), self._copy(arrival)
        part = f"{target}.part"
        with suppress(FileNotFoundError):
            os.unlink(part)
        self._copy_still(hidden, part)
        write_tags(part, arrival.tags, self._places.sidecars, arrival.waiting, sync=True)
        sync_file(part)
        os.rename(part, target)
        self._trace.write(arrival.accepted)
        queue = self._places.queue(Target.of(arrival.target))
        make_synced_folder(queue)
        os.rename(target, queue / arrival.waiting)
        sync_folder(queue)
        os.unlink(hidden)
        self._forget(arrival, intent)

    def _is_in_trace(self, arrival: Arrival, intent: Path) -> bool:
        """Whether the trace tells of *arrival*; otherwise it was a power cut that took W away, and not the queue."""
        began = intent.stat().st_mtime - 1
        since = began if began < time.time() else None
        found = events(self._places.home, since, arrival.uid.encode())
        return any(event.get("uid") == arrival.uid for event in found)

    @staticmethod
    def _copy_still(hidden: str, part: str) -> None:
        # Opened once, so that nobody can put a link in its place.
        source = os.open(hidden, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            before = os.fstat(source)
            copy(f"/proc/self/fd/{source}", part)
            os.chmod(part, stat.S_IMODE(before.st_mode) & 0o777 | 0o600)
            after = os.fstat(source)
        finally:
            os.close(source)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Changing(hidden)

    def _write_intent(self, arrival: Arrival) -> Path:
        os.makedirs(self._folder, exist_ok=True)
        intent = self.intent(arrival)
        known = {"arrival": arrival._asdict(), "device": os.stat(arrival.directory).st_dev}
        intent.write_text(json.dumps(known), encoding="ascii")
        if self._durable:
            sync_file(intent)
        return intent

    def _copy(self, arrival: Arrival) -> str:
        return f"{self._folder}/{arrival.waiting}"

    def _forget(self, arrival: Arrival, intent: Path) -> None:
        target = self._copy(arrival)
        for path in (f"{target}.part", target, intent):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _hidden(arrival: Arrival) -> str:
    return f"{arrival.directory}/{HIDDEN}{arrival.uid}"


def _need_room(folder: str, size: int) -> None:
    room = os.statvfs(folder)
    # Some file systems do not say how large they are (ramfs, some of FUSE).
    if room.f_blocks and room.f_bavail * room.f_frsize < size + _RESERVE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)
