"""The logs of a module as one: what all its processes logged and printed, in the order of time, and what comes.

Processes log JSON into ``log/PROCESS.log``; what they print besides is in ``log/PROCESS.out``, whose lines have no time
but that of the headings between them.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile
from operator import attrgetter
from pathlib import Path
from typing import Any

from inotify_simple import flags

from mfext.environment import Home
from mfext.errors import MetworkError, UsageError, nearest
from mfext.fs.inotify import new_inotify
from mfext.fs.pieces import FollowedFile, lines_backwards, lines_forwards
from mfext.lifecycle.last_good import remembered_processes
from mfext.log import LEVELS, readable_line, utc

#: The level of what was not logged but printed.
OUTPUT = "output"
_LOG, _OUT = ".log", ".out"
_FILE = re.compile(r"(?P<process>.+)(?P<type>\.log|\.out)(\.\d+)?")
#: What launch writes above the output of each process that it starts.
_HEADING = re.compile(rb"== (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z process \d+")
_OWN = frozenset(("time", "level", "logger", "process", "pid", "text"))


@dataclass(frozen=True)
class Entry:
    """A line that a process logged or printed."""

    #: ISO 8601 in UTC, as in the logs; of a printed line the latest that it can be.
    time: str
    process: str
    #: One of LEVELS, or OUTPUT.
    level: str
    text: str
    logger: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    #: The line of the log as it is; None = it was printed.
    record: Mapping[str, Any] | None = None

    def as_json(self) -> Mapping[str, Any]:
        """The record of the log; of a printed line, as much of one as is known."""
        known = {"time": self.time, "level": self.level, "logger": "", "process": self.process, "text": self.text}
        return known if self.record is None else self.record


@dataclass(frozen=True)
class Selection:
    """Which lines are meant."""

    #: A process, a plugin or a step as ``PLUGIN/STEP``; '' = every process.
    name: str = ""
    #: The lowest level; what is printed has none, and is always meant.
    level: str = "debug"
    #: The earliest time, as in the logs.
    since: str = ""

    def names(self, process: str) -> bool:
        """Whether lines of *process* are meant (pure)."""
        return f".{self.name.replace('/', '.')}." in f".{process}."

    def holds(self, entry: Entry) -> bool:
        """Whether *entry* is high enough (pure)."""
        return entry.level == OUTPUT or LEVELS.index(entry.level) >= LEVELS.index(self.level)


class Logs:
    """What was logged and printed in a home until now, and what comes."""

    def __init__(self, home: Home, selection: Selection, *, follows: bool = False) -> None:
        """What stands in the logs at this moment was there; ``new`` gives what comes after it, to who *follows*.

        Raises:
            UsageError: nothing is called as *selection* says.
            MetworkError: the home has no logs.
        """
        self.folder = home.log
        if not self.folder.is_dir():
            raise MetworkError("there are no logs", where=str(home.path), mend=f'Was "{home.module}.start" ever run?')
        self.selection = selection
        self._inotify = new_inotify(nonblocking=True) if follows else None
        if self._inotify:
            self._inotify.add_watch(self.folder, flags.MODIFY | flags.CREATE | flags.MOVED_TO)
        there = {f"{found['process']}{found['type']}" for found in map(_FILE.fullmatch, _names(self.folder)) if found}
        known = {name[: -len(_LOG)] for name in there} | {process.name for process in remembered_processes(home)}
        self._is_meant = _chosen(selection, known)
        self._files = {
            name: FollowedFile(self.folder / name) for name in sorted(there) if self._is_meant(name[: -len(_LOG)])
        }

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_: object) -> None:
        if self._inotify:
            self._inotify.close()
        for file in self._files.values():
            file.close()

    def fileno(self) -> int:
        """Readable when something may have come; for who follows."""
        return int(self._inotify.fileno()) if self._inotify else -1

    def before(self, count: int | None = None) -> Iterator[Entry]:
        """The last *count* lines that were there (None = all of them), the oldest first."""
        if count is None:
            streams = [self._forwards(name, file) for name, file in self._files.items()]
            yield from filter(self.selection.holds, heapq.merge(*streams, key=attrgetter("time")))
            return
        streams = [self._backwards(name, file) for name, file in self._files.items()]
        newest = heapq.merge(*streams, key=attrgetter("time"), reverse=True)
        yield from reversed([*islice(filter(self.selection.holds, newest), count)])

    def new(self) -> list[Entry]:
        """The lines that came since this was asked last, the oldest first; to be asked when ``fileno`` is readable."""
        changed: set[str] = set()
        for event in self._inotify.read(timeout=0) if self._inotify else ():
            if event.mask & flags.Q_OVERFLOW:
                changed.update(_names(self.folder))
            changed.add(event.name)
        found: list[Entry] = []
        for name in sorted({f"{one['process']}{one['type']}" for one in map(_FILE.fullmatch, changed) if one}):
            process, ending = name[: -len(_LOG)], name[-len(_LOG) :]
            if name not in self._files and self._is_meant(process):
                self._files[name] = FollowedFile(self.folder / name, from_begin=True)
            if name in self._files:
                now = utc(time.time())
                lines = self._files[name].new_lines()
                found += [_entry(line, process, now, is_log=ending == _LOG) for line in lines]
        return sorted(filter(self.selection.holds, found), key=attrgetter("time"))

    def _backwards(self, name: str, file: FollowedFile) -> Iterator[Entry]:
        """The entries of one file that were there, the newest first."""
        process, ending = name[: -len(_LOG)], name[-len(_LOG) :]
        entries = _entries(file, process, is_log=ending == _LOG)
        return takewhile(lambda entry: entry.time >= self.selection.since, entries)

    def _forwards(self, name: str, file: FollowedFile) -> Iterator[Entry]:
        """The entries of one file that were there, the oldest first."""
        if name.endswith(_OUT):
            # It is kept small; and the time of its lines is that of what comes after them.
            yield from reversed([*self._backwards(name, file)])
            return
        latest = ""
        for opened, end in file.before(newest_first=False):
            if utc(os.fstat(opened.fileno()).st_mtime) < self.selection.since:
                continue
            for line in lines_forwards(opened, end):
                entry = _entry(line, name[: -len(_LOG)], latest, is_log=True)
                latest = entry.time
                if latest >= self.selection.since:
                    yield entry


def as_text(entry: Entry, *, today: str = "", colour: bool = False) -> str:
    """*entry* for a person, in local time, with the date unless it is *today* (``YYYY-MM-DD``)."""
    moment = datetime.fromisoformat(entry.time).astimezone()
    date = moment.date().isoformat()
    source = f"{entry.process} {entry.logger}".rstrip()
    line = readable_line(moment.timestamp(), entry.level, source, entry.text, entry.fields, colour=colour)
    return line if date == today else f"{date} {line}"


def _chosen(selection: Selection, known: Iterable[str]) -> Callable[[str], bool]:
    """Tells of a process whether it is meant: one that is called so, or else all of a plugin or a step.

    Raises:
        UsageError: none of those that are *known* is.
    """
    if not selection.name:
        return lambda process: not _is_foreign(process)
    names = sorted(known)
    if selection.name in names:
        return lambda process: process == selection.name
    if any(map(selection.names, names)):
        return selection.names
    # Of step.PLUGIN.STEP a person writes PLUGIN/STEP or PLUGIN.
    parts = [name.split(".", 1)[1].replace(".", "/", 1) for name in names if "." in name]
    words = {*parts, *(part.partition("/")[0] for part in parts), *(name for name in names if "." not in name)}
    if "." in selection.name:
        words.update(names)
    raise UsageError(
        f'nothing is called "{selection.name}"',
        expected="a process, a plugin, or a step as PLUGIN/STEP",
        mend=nearest(selection.name, words),
    )


def _is_foreign(process: str) -> bool:
    """Whether it is no process of ours whose log it is, but a line for each request."""
    return process == "access"


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def _entries(file: FollowedFile, process: str, *, is_log: bool) -> Iterator[Entry]:
    """What was in *file*, the newest first. What has no time is as old as what comes after it."""
    latest = ""
    for opened, end in file.before(newest_first=True):
        latest = latest or utc(os.fstat(opened.fileno()).st_mtime)
        for line in lines_backwards(opened, end):
            entry = _entry(line, process, latest, is_log=is_log)
            yield entry
            latest = entry.time


def _entry(line: bytes, process: str, latest: str, *, is_log: bool) -> Entry:
    """What *line* says; where it has no time, it is *latest* (pure)."""
    if is_log:
        try:
            record = json.loads(line)
            return _logged(record, process, latest)
        except (ValueError, TypeError, LookupError, AttributeError):
            pass  # the rest of a line that a full disk cut
    heading = _HEADING.fullmatch(line)
    moment = f"{heading[1].decode()}.000Z" if heading else latest
    return Entry(moment, process, OUTPUT, line.decode("utf-8", "surrogateescape"))


def _logged(record: Mapping[str, Any], process: str, latest: str) -> Entry:
    """The entry that a line of a log is."""
    fields = {key: value for key, value in record.items() if key not in _OWN}
    if "level" not in record:
        moment = utc(float(fields.pop("t"))) if "t" in fields else latest
        return Entry(moment, process, "info", str(record.get("text", "")), fields=fields, record=record)
    datetime.fromisoformat(record["time"])
    LEVELS.index(record["level"])
    return Entry(record["time"], process, record["level"], str(record["text"]), str(record["logger"]), fields, record)
