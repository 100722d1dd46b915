"""What /proc tells of processes: their memory, and who was left behind by a killed arbiter."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from mfext.environment import Home

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds to wait for killed processes to be gone.
_GONE = 5.0


def rss_of(pid: int) -> int:
    """Bytes of memory that a process has; 0 when it is gone."""
    try:
        return int((_PROC / str(pid) / "statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def kill_leftovers(home: Home) -> list[int]:
    """Kill what was started by an arbiter of *home* that is gone, and is left; the pids.

    Supervised processes die with the arbiter, but not what they have started themselves. It is known by the
    environment that it has inherited.
    """
    pids = leftovers(home)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _GONE
    while leftovers(home) and time.monotonic() < deadline:
        time.sleep(0.01)
    return pids


def leftovers(home: Home) -> list[int]:
    """Pids of supervised processes of *home*, and of all that they have started; not this process."""
    marks = {f"METWORK_HOME={home.path.parent}".encode(), f"MFMODULE={home.module.upper()}".encode()}
    return [pid for pid in _pids() if pid != os.getpid() and _is_marked(pid, marks)]


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def _is_marked(pid: int, marks: set[bytes]) -> bool:
    try:
        items = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return False
    return marks.issubset(items) and any(item.startswith(b"METWORK_PROCESS=") for item in items)
