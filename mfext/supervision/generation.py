"""Generation: under which start of the machine and of its arbiter a process runs, and whether that is over.

When an arbiter ends, all its processes do, and so they do with the machine: such a death says nothing of what the
process was doing.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from mfext.environment import Home

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc")
#: Of /proc/PID/stat: fields after the name, which may hold anything; the 22nd of all is the start (proc(5)).
_START = 22 - 3
#: States of a process that nobody has waited for yet.
_DEAD = "ZX"


def lock_file(home: Home) -> Path:
    """The file that the arbiter of *home* holds a lock on for as long as it lives; its pid is in it."""
    return home.run / "arbiter.lock"


def generation(home: Home) -> str:
    """The present one, as ``BOOT.PID.START``, which can be part of a file's name; '' when there is no arbiter.

    PID and START, in clock ticks since the start of the machine, are those of the arbiter: in a container that is
    started again, only the last one may differ.
    """
    with suppress(OSError, ValueError):
        pid = int(lock_file(home).read_text("ascii"))
        return f"{_boot()}.{pid}.{_start_of(pid)}"
    return ""


def is_over(found: str) -> bool:
    """Whether the generation *found* has ended; one of which nothing is known has not."""
    with suppress(ValueError):
        boot, pid, start = found.split(".")
        try:
            return boot != _boot() or start != _start_of(int(pid))
        except OSError:
            return True
    return False


def _boot() -> str:
    return _BOOT_ID.read_text("ascii")[:8]


def _start_of(pid: int) -> str:
    """When the living process *pid* was started.

    Raises:
        OSError: there is none.
    """
    fields = (_PROCESSES / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    if fields[0] in _DEAD:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return fields[_START]
