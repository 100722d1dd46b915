"""The raw output of supervised processes: ``log/PROCESS.out``, kept small, and quoted when a process fails."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfext.environment import Home
from mfext.log import printable

#: Lines that are quoted, characters of each, and bytes at the end of a file in which they are looked for.
_LINES, _LENGTH, _TAIL = 5, 300, 30_000


def cut(path: Path, max_size: int) -> None:
    """Bring a file that others append to back to nothing when it is too large, keeping its last part as ``NAME.1``.

    It cannot be renamed away, since the writers have it open; what they write during the copy is lost.
    """
    with suppress(FileNotFoundError):
        size = path.stat().st_size
        if size > max_size:
            with path.open("r+b") as file, Path(f"{path}.1").open("wb") as kept:
                file.seek(size - max_size)
                shutil.copyfileobj(file, kept)
                file.truncate(0)


def last_lines(home: Home, process: str, pid: int | None = None) -> list[str]:
    """The last lines that *process* wrote, printable: to its output, or else the errors in its log.

    Args:
        home: whose process.
        process: its name.
        pid: only what this process wrote; None = the one that was started last.
    """
    lines = _output(_tail(home.log / f"{process}.out"), pid) or _errors(_tail(home.log / f"{process}.log"), pid)
    return [printable(line)[:_LENGTH] for line in lines]


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read().decode("utf-8", "backslashreplace").splitlines()
    except OSError:
        return []


def _output(lines: list[str], pid: int | None) -> deque[str]:
    """The last lines below the heading of *pid* that launch wrote, or below the last heading."""
    found: deque[str] = deque(maxlen=_LINES)
    taking = pid is None
    for line in lines:
        if line.startswith("== ") and " process " in line:
            taking = pid is None or line.endswith(f" process {pid}")
            if taking:
                found.clear()
        elif taking and line.strip():
            found.append(line)
    return found


def _errors(lines: list[str], pid: int | None) -> deque[str]:
    return deque(_error_texts(lines, pid), maxlen=_LINES)


def _error_texts(lines: list[str], pid: int | None) -> Iterator[str]:
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["level"] == "error" and pid in (None, record["pid"]):
                yield record["text"]
                yield from record.get("traceback", "").splitlines()[-1:]
