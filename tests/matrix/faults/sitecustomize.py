"""Fault points: a process dies, or is refused, just before the named change of the disk.

Python imports this at its start when ``PYTHONPATH`` names this folder, as only the crash matrix lets it do. In the
folder ``METWORK_FAULTS``, a file ``armed/PROCESS/POINT`` is a fault: the process that comes to that point removes it
and kills itself, or gets the error whose number the file holds. ``seen/PROCESS/POINT`` notes each point passed; a
command is a process when ``METWORK_FAULTS_AS`` names it. The file ``clock`` holds the seconds by which the wall clock
is wrong.
"""

# What is watched are calls of os: pathlib would be watched making them.
# ruff: noqa: PTH103, PTH108, PTH110, PTH115, PTH123
from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from fault_points import CALLS, line_of, point_of  # type: ignore[import-not-found]

_FOLDER = os.environ.get("METWORK_FAULTS", "")
_PROCESS = os.environ.get("METWORK_FAULTS_AS") or os.environ.get("METWORK_PROCESS", "")
_HOME = f"{os.environ.get('METWORK_HOME', '')}/mfdata/"
_seen: set[str] = set()
_busy = False


def _audit(event: str, args: tuple[object, ...]) -> None:
    call = CALLS.get(event)
    if call is None or _busy:
        return
    if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_CREAT | os.O_TRUNC)):
        return
    source = _relative(args[0], args[1] if event in ("os.remove", "os.rmdir") else -1)
    target = _relative(args[1]) if event in ("os.rename", "os.link") else ""
    _reach(point_of(call, source, target))


def _relative(path: object, folder: object = -1) -> str:
    """*path* relative to the home; in an open folder when that is told."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    text = os.fsdecode(path)
    if isinstance(folder, int) and folder >= 0 and not text.startswith("/"):
        text = f"{os.readlink(f'/proc/self/fd/{folder}')}/{text}"
    return text.removeprefix(_HOME)


def _reach(point: str) -> None:
    global _busy
    if not point:
        return
    _busy = True
    try:
        if point not in _seen:
            _seen.add(point)
            _note("seen", point)
        armed = f"{_FOLDER}/armed/{_PROCESS}/{point}"
        if os.path.exists(armed):
            _fail(_taken(armed))
    finally:
        _busy = False


def _fail(fault: str | None) -> None:
    if fault:
        raise OSError(int(fault), os.strerror(int(fault)))
    if fault is not None:
        os.kill(os.getpid(), signal.SIGKILL)


def _taken(path: str) -> str | None:
    """The fault, if it was this process that took it: two may come to the same point at once."""
    try:
        with open(path, encoding="ascii") as file:
            fault = file.read()
        os.unlink(path)
    except FileNotFoundError:
        return None
    return fault


def _note(kind: str, point: str) -> None:
    os.makedirs(f"{_FOLDER}/{kind}/{_PROCESS}", exist_ok=True)
    os.close(os.open(f"{_FOLDER}/{kind}/{_PROCESS}/{point}", os.O_WRONLY | os.O_CREAT, 0o600))


def _offset() -> int:
    try:
        descriptor = os.open(f"{_FOLDER}/clock", os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        return int(os.read(descriptor, 20) or b"0")
    finally:
        os.close(descriptor)


def _install() -> None:
    write, send = os.write, os.sendfile

    def written(descriptor: int, data: bytes) -> int:
        line = line_of(bytes(data[:200]))
        _reach(line)
        count = write(descriptor, data)
        if line and _offset():
            os.utime(descriptor, (time.time(), time.time()))  # the kernel's clock would be wrong as well
        return count

    def sent(out: int, *args: Any) -> int:
        _reach(point_of("fill", _relative(os.readlink(f"/proc/self/fd/{out}"))))
        return send(out, *args)

    clock, clock_ns = time.time, time.time_ns
    time.time = lambda: clock() + _offset()
    time.time_ns = lambda: clock_ns() + _offset() * 10**9
    # No audit event tells of these two.
    os.write, os.sendfile = written, sent  # type: ignore[assignment]
    sys.addaudithook(_audit)


if _FOLDER and _PROCESS:
    _install()
