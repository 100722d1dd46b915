"""Trace: what happened to every file, one JSON line an event, one file a process."""

from __future__ import annotations

import heapq
import json
import math
import mmap
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from mfdata import config
from mfext.environment import Home
from mfext.fs.rotating_file import AppendFile

Event = dict[str, Any]
#: Counts an event of a plugin's step.
Count = Callable[[str, str, Mapping[str, object]], None]

_SUFFIX = ".jsonl"
#: How each line begins: inside of a JSON string the quotes would be escaped, so it marks a line's start anywhere.
_START = b'{"t":'
_TIME = re.compile(rb'\{"t":([0-9.]+)')
#: One per start of the machine.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Time, plugin, step and event, with which every line begins.
_HEAD = re.compile(rb'\{"t":([0-9.]+),"plugin":"([^"]*)","step":"([^"]*)","event":"([^"]*)"')


class Trace:
    """What one process writes of the files it deals with.

    A line is written before the rename or unlink that it tells of: the last line of a file is true, or the
    recovery of what was cut off adds the line that corrects it.
    """

    def __init__(
        self,
        home: Home,
        process: str,
        plugin: str = "",
        step: str = "",
        settings: config.Trace | None = None,
        count: Count | None = None,
    ) -> None:
        """Args say who writes.

        Args:
            home: whose trace it is.
            process: the name of the process, and of its file.
            plugin: of the step, when it is one.
            step: its name.
            settings: size and number of files.
            count: is called with plugin, step and each event that was written.
        """
        settings = settings or config.Trace()
        self._file = AppendFile(trace_folder(home) / f"{process}{_SUFFIX}", settings.max_size, settings.keep)
        self._step = {"plugin": plugin, "step": step}
        self._count = count
        self._boot = _BOOT_ID.read_text("ascii")[:8]

    def write(self, *events: Mapping[str, object]) -> None:
        """Append *events* with the time and the step, all in one write.

        Each has an ``event`` (accepted, claimed, done, delivered, ...), the ``uid`` and the ``name`` of the file. By
        ``boot`` and ``up``, seconds since that start of the machine, the order is known whatever is done to the clock.

        Raises:
            OSError: they could not be written (full disk).
        """
        now = round(time.time(), 6)
        when = {"boot": self._boot, "up": round(time.clock_gettime(time.CLOCK_BOOTTIME), 6)}
        lines = [encoded({"t": now, **self._step, "event": "", **event, **when}) for event in events]
        data = ("\n".join(lines) + "\n").encode("ascii")
        try:
            self._file.write(data)
        except FileNotFoundError:
            self._file.path.parent.mkdir(parents=True, exist_ok=True)
            self._file.write(data)
        if self._count:
            for event in events:
                self._count(self._step["plugin"], self._step["step"], event)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        self._file.close()


def trace_folder(home: Home) -> Path:
    """Where the trace files of *home* are."""
    return home.log / "trace"


def events(home: Home, since: float | None = None, containing: bytes = b"") -> Iterator[Event]:
    """What all processes wrote, in the order in which it was written.

    Args:
        home: of the module.
        since: epoch seconds; what is older is skipped without being read.
        containing: only lines in which these bytes stand are looked into, which is much faster than reading all.
    """
    streams = [_events_of(newest, since, containing) for newest in _processes(home)]
    return heapq.merge(*streams, key=_Order().of)


class _Order:
    """Puts events in order though the clock may have been set between them."""

    def __init__(self) -> None:
        #: When the machine was started, by a clock that need not be right: the same for all events since.
        self._starts: dict[str, float] = {}

    def of(self, event: Event) -> float:
        """A number that is larger the later *event* was written."""
        up = event.get("up")
        if not isinstance(up, (int, float)):
            return time_of(event)
        return self._starts.setdefault(str(event.get("boot")), time_of(event) - up) + up


def counts(home: Home, since: float, until: float = math.inf) -> Counter[tuple[str, str, str]]:
    """How often each event happened, by plugin, step and event; without looking into the lines further.

    Args:
        home: of the module.
        since: epoch seconds.
        until: epoch seconds: what a clock wrote that has been set back since lies after them.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    for newest in _processes(home):
        for line in _lines(newest, since, b""):
            head = _HEAD.match(line)
            if head and since <= float(head[1]) <= until:
                found[head[2].decode(), head[3].decode(), head[4].decode()] += 1
    return found


def time_of(event: Event) -> float:
    """When *event* happened, in epoch seconds."""
    return float(event["t"])


def life(home: Home, uid: str) -> list[Event]:
    """All that happened to the file *uid*, to what it was made from and to what was made from it, in order."""
    root = uid.partition(".")[0]
    return [one for one in events(home, containing=root.encode()) if is_related(str(one.get("uid", "")), uid)]


def is_related(uid: str, other: str) -> bool:
    """Whether one file is the other or was made from it: an output of the file U is called ``U.N``."""
    return f"{uid}.".startswith(f"{other}.") or f"{other}.".startswith(f"{uid}.")


def uids_of_name(home: Home, name: str) -> list[str]:
    """Uids of the accepted or injected files that came in as *name*, newest first."""
    found: dict[str, None] = {}
    # The name as it stands in the line: the shell may well give bytes that JSON escapes.
    for event in events(home, containing=encoded(name)[1:-1].encode("ascii")):
        if event.get("event") in ("accepted", "injected") and event.get("name") == name:
            found[str(event["uid"])] = None
    return list(reversed(found))


def last_event(home: Home, process: str, kind: str) -> Event | None:
    """The last *kind* of event that *process* wrote, in its newest two pieces."""
    newest = trace_folder(home) / f"{process}{_SUFFIX}"
    mark = b'"event":%s' % encoded(kind).encode("ascii")
    for piece in (newest, _numbered(newest, 1)):
        # ValueError: there is nothing in it.
        with suppress(OSError, ValueError), piece.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            found = content.rfind(mark)
            if found >= 0:
                start, end = content.rfind(b"\n", 0, found) + 1, content.find(b"\n", found)
                decoded = _decoded(content[start : end if end >= 0 else len(content)])
                return next((event for event in decoded if event.get("event") == kind), None)
    return None


def _processes(home: Home) -> list[Path]:
    """The newest piece of every process's trace."""
    folder = trace_folder(home)
    return sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []


def _events_of(newest: Path, since: float | None, containing: bytes) -> Iterator[Event]:
    for line in _lines(newest, since, containing):
        yield from (one for one in _decoded(line) if since is None or time_of(one) >= since)


def _lines(newest: Path, since: float | None, containing: bytes) -> Iterator[bytes]:
    """Lines of all pieces, oldest first; some are from before *since*."""
    for piece in _pieces(newest, since):
        with piece:
            if since is not None:
                _skip_to(piece, since)
            yield from _lines_with(piece, containing) if containing else piece


def _lines_with(piece: BinaryIO, text: bytes) -> Iterator[bytes]:
    """The lines of *piece*, from where it stands, that hold *text*: found without looking at the others."""
    begin = piece.tell()
    try:
        content = mmap.mmap(piece.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # there is nothing in it, or it cannot be mapped
        yield from (line for line in piece if text in line)
        return
    with content:
        found = content.find(text, begin)
        while found >= 0:
            start = max(begin, content.rfind(b"\n", begin, found) + 1)
            end = content.find(b"\n", found) + 1 or len(content)
            yield content[start:end]
            found = content.find(text, end)


def _pieces(newest: Path, since: float | None) -> Iterator[BinaryIO]:
    """The pieces of a rotated trace file that hold something from *since* on, opened, oldest first."""
    found: dict[int, int] = {}
    # From the newest to the oldest, the way in which rotation moves them: none is missed, at worst one is met twice.
    for number in range(_count(newest)):
        with suppress(FileNotFoundError):
            status = _numbered(newest, number).stat()
            # The clock of file times is some milliseconds behind.
            if since is None or status.st_mtime >= since - 1:
                found.setdefault(status.st_ino, number)
    for inode, number in reversed(found.items()):
        piece = _open_inode(newest, inode, number)
        if piece:
            yield piece


def _count(newest: Path) -> int:
    numbers = [int(end) for path in newest.parent.glob(f"{newest.name}.*") if (end := path.suffix[1:]).isdecimal()]
    return 2 + max(numbers, default=0)


def _numbered(newest: Path, number: int) -> Path:
    return newest.with_name(f"{newest.name}.{number}") if number else newest


def _open_inode(newest: Path, inode: int, number: int) -> BinaryIO | None:
    """The piece *inode*, which was *number* and may have been moved up since; None when it is gone."""
    for moved in range(number, number + 5):
        with suppress(FileNotFoundError):
            piece = _numbered(newest, moved).open("rb")
            if os.fstat(piece.fileno()).st_ino == inode:
                return piece
            piece.close()
    return None


def _skip_to(piece: BinaryIO, since: float) -> None:
    """Go to a line that is not long before *since*, by halving: the lines are in order of time, nearly."""
    low, high = 0, os.fstat(piece.fileno()).st_size
    while high - low > 65_536:
        middle = (low + high) // 2
        piece.seek(middle)
        piece.readline()
        found = _TIME.search(piece.readline())
        if found and float(found[1]) < since - 1:
            low = middle
        else:
            high = middle
    piece.seek(low)
    if low:
        piece.readline()


def _decoded(line: bytes) -> Iterator[Event]:
    """The events in *line*: one, or what is whole of several when a writer was killed or starved in the middle."""
    whole = _event(line)
    if whole is not None:
        yield whole
        return
    for part in line.split(_START)[1:]:
        event = _event(_START + part)
        if event is not None:
            yield event


def _event(text: bytes) -> Event | None:
    try:
        event = json.loads(text.decode("utf-8"))
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("t"), (int, float)) else None


def _plain(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)


#: Any value as JSON in ASCII: bytes and paths as text that ``os.fsencode`` turns back.
encoded = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
