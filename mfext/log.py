"""Logs: one JSON object a line into the home's log folder, readable lines on a terminal.

The standard ``logging`` is not imported, since every step process would pay for it; ``adopt_standard_logging``
brings in what libraries say through it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mfext.environment import Home, wants_colour
from mfext.fs.rotating_file import AppendFile

__all__ = ["Logger", "adopt_standard_logging", "get_logger", "set_up"]

#: Levels from the most talkative.
LEVELS = ("debug", "info", "warning", "error")
#: Defaults of the ``[log]`` section, here because a process may log before it has read any configuration.
DEFAULT_LEVEL, DEFAULT_MAX_SIZE, DEFAULT_KEEP = "info", 10_000_000, 5

_RANK = {name: rank for rank, name in enumerate(LEVELS)}
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
_OWN_KEYS = frozenset(("time", "level", "logger", "process", "pid", "text"))


class Logger:
    """What one source file logs with: constant texts, so that they can be counted, and fields.

    Args:
        name: what its lines are called, normally ``__name__``.
    """

    def __init__(self, name: str) -> None:
        #: What its lines are called.
        self.name = name

    def debug(self, text: str, **fields: Any) -> None:
        """Log a line for whoever looks for a fault; it may come for every file.

        Args:
            text: what happened, the same words each time, so that lines can be counted.
            fields: what is different each time, by name: JSON values, or what ``str`` can show.
        """
        _sink.log("debug", self.name, text, fields)

    def info(self, text: str, **fields: Any) -> None:
        """Log a line on what happens seldom and is as it should be.

        Args:
            text: what happened, the same words each time, so that lines can be counted.
            fields: what is different each time, by name: JSON values, or what ``str`` can show.
        """
        _sink.log("info", self.name, text, fields)

    def warning(self, text: str, **fields: Any) -> None:
        """Log a line on what somebody should look at some time.

        Args:
            text: what happened, the same words each time, so that lines can be counted.
            fields: what is different each time, by name: JSON values, or what ``str`` can show.
        """
        _sink.log("warning", self.name, text, fields)

    def error(self, text: str, **fields: Any) -> None:
        """Log a line on what does not work.

        Args:
            text: what happened, the same words each time, so that lines can be counted.
            fields: what is different each time, by name: JSON values, or what ``str`` can show.
        """
        _sink.log("error", self.name, text, fields)

    def exception(self, text: str, **fields: Any) -> None:
        """Log an error with the stack of the exception that is being handled, in the field ``traceback``.

        Args:
            text: what happened, the same words each time, so that lines can be counted.
            fields: what is different each time, by name: JSON values, or what ``str`` can show.
        """
        import traceback

        _sink.log("error", self.name, text, {**fields, "traceback": traceback.format_exc().rstrip()})


def get_logger(name: str) -> Logger:
    """The logger called *name*; it may be got before ``set_up``.

    Args:
        name: what its lines are called, normally ``__name__``.
    """
    return Logger(name)


def set_up(
    home: Home | None,
    process: str,
    level: str = DEFAULT_LEVEL,
    *,
    max_size: int = DEFAULT_MAX_SIZE,
    keep: int = DEFAULT_KEEP,
) -> None:
    """Say where the lines of this process go from now on.

    Args:
        home: its log folder takes ``PROCESS.log``; None = no file.
        process: name of the process; '' = no file. Without a file, lines go to standard error, and with one as well
            if that is a terminal.
        level: debug, info, warning or error; lines below it are not written.
        max_size: bytes at which a log file is rotated.
        keep: how many rotated files to keep.
    """
    global _sink
    file = AppendFile(home.log / f"{process}.log", max_size, keep) if home and process else None
    _sink = Sink(process, level, file, to_terminal=not file or sys.stderr.isatty())


def adopt_standard_logging(level: str = "warning") -> None:
    """Let what libraries say through the standard ``logging`` come out here.

    Args:
        level: debug, info, warning or error; what is below it is left out.
    """
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields = {}
            if record.exc_info:
                fields["traceback"] = logging.Formatter().formatException(record.exc_info)
            name = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
            _sink.log(name if name in _RANK else "info", record.name, record.getMessage(), fields)

    root = logging.getLogger()
    root.handlers[:] = [Handler()]
    root.setLevel(level.upper())


class Sink:
    """Where lines go."""

    def __init__(self, process: str, level: str, file: AppendFile | None, *, to_terminal: bool) -> None:
        self.process = process
        self.rank = _RANK[level]
        self.file = file
        self.to_terminal = to_terminal
        self.lost = 0

    def log(self, level: str, logger: str, text: str, fields: Mapping[str, Any]) -> None:
        """Write one line, if *level* is high enough. Never raises: a full disk must not stop the work."""
        if _RANK[level] < self.rank:
            return
        now = time.time()
        if self.to_terminal:
            self._show(readable_line(now, level, logger, text, fields, colour=sys.stderr.isatty() and wants_colour()))
        if self.file:
            self._keep(self.file, json_line(now, level, logger, self.process, text, fields))

    def _show(self, line: str) -> None:
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (OSError, ValueError):
            self.lost += 1

    def _keep(self, file: AppendFile, line: bytes) -> None:
        try:
            if self.lost:
                lost = {"lines": self.lost}
                file.write(json_line(time.time(), "error", __name__, self.process, "log lines were lost", lost))
                self.lost = 0
            file.write(line)
        except OSError:
            self.lost += 1


def json_line(now: float, level: str, logger: str, process: str, text: str, fields: Mapping[str, Any]) -> bytes:
    """One line of a log file. Everything outside ASCII is escaped, so that no value can forge a line."""
    record: dict[str, Any] = {
        "time": utc(now),
        "level": level,
        "logger": logger,
        "process": process,
        "pid": os.getpid(),
        "text": text,
    }
    record.update((f"{key}_" if key in _OWN_KEYS else key, value) for key, value in fields.items())
    try:
        encoded = json.dumps(record, default=_plain, allow_nan=False)
    except (TypeError, ValueError):
        encoded = json.dumps({key: value if key == "pid" else str(value) for key, value in record.items()})
    return encoded.encode("ascii") + b"\n"


def readable_line(
    now: float, level: str, logger: str, text: str, fields: Mapping[str, Any], *, colour: bool = False
) -> str:
    """One line for the eye: time, level, text and fields; a traceback goes below."""
    shown = "".join(f" {key}={_word(value)}" for key, value in fields.items() if key != "traceback")
    name = f"{_COLOURS.get(level, '')}{level.upper():7}\x1b[0m" if colour else f"{level.upper():7}"
    line = f"{time.strftime('%H:%M:%S', time.localtime(now))} {name} {logger}: {printable(text)}{shown}\n"
    below = str(fields.get("traceback", "")).splitlines()
    return line + "".join(f"    {printable(part)}\n" for part in below)


def utc(seconds: float) -> str:
    """A time as ISO 8601 in UTC with milliseconds, as everywhere in logs and traces."""
    return f"{_utc_second(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


@lru_cache(maxsize=8)
def _utc_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def printable(text: str) -> str:
    r"""*text* without anything that moves the cursor, changes colours or cannot be encoded; bytes are ``\xe9``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    # A byte of a name that is not UTF-8: see os.fsdecode.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "replace").decode()


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, str) and (not value or any(c.isspace() or c in '"=' for c in value)):
        value = json.dumps(value, ensure_ascii=False)
    return printable(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    return str(value)


_sink = Sink("", "warning", None, to_terminal=True)
