"""Names on disk: how the files of users, workers and transactions are called in each state, made and read (pure).

==================  ===========================================================================
waiting             ``PRIORITY-TIME-RANDOM-BASENAME``: the order of names is the order of a queue
waiting for a retry ``DUE-`` and its waiting name
worker              ``PID-RANDOM`` or ``PID-RANDOM-GENERATION``; ``.new-`` in front until it is locked
transaction         that of the claimed file, and ``.tx`` while it is prepared, ``.commit`` once it counts
==================  ===========================================================================

Times are microseconds since the epoch, in 16 digits.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

#: In the middle of 0 to 9.
USUAL_PRIORITY = 5
#: Suffixes of the transaction beside a claimed file: being prepared, and committed.
PREPARED, COMMITTED = ".tx", ".commit"

_DIGITS = 16
#: Where the time stands in a waiting name.
_TIME = slice(2, 2 + _DIGITS)
_NOT_FOR_EYES = re.compile(rb"[^A-Za-z0-9._+=@-]")
_LONGEST_EYE = 180
_NEW = ".new-"


def time_text(microseconds: int) -> str:
    """A time as it stands in names, so that the order of texts is that of times."""
    return f"{microseconds:0{_DIGITS}d}"


def waiting_name(basename: bytes, priority: int = USUAL_PRIORITY) -> str:
    """A unique name whose order is the order of the queue, 255 bytes at most.

    *priority* is one digit, 0 comes first. The basename is there for the eye only.
    """
    return f"{priority}-{time_text(time.time_ns() // 1000)}-{os.urandom(6).hex()}-{readable_end(basename)}"


def readable_end(basename: bytes) -> str:
    """What the waiting name of a file called *basename* ends with."""
    return _NOT_FOR_EYES.sub(b"_", basename)[:_LONGEST_EYE].decode("ascii")


def renamed(waiting: str) -> str:
    """Another waiting name at the same place in the order of the queue."""
    parts = waiting.split("-", 3)
    return "-".join([*parts[:2], os.urandom(6).hex(), *parts[3:]])


def waiting_time(waiting: str) -> str:
    """The text of the time at which a file got the name *waiting*; any text for a name that is none."""
    return waiting[_TIME]


def waiting_since(waiting: str) -> float | None:
    """When a file got the name *waiting*, in epoch seconds; None for a name that is none."""
    text = waiting[_TIME]
    return int(text) / 1e6 if text.isdecimal() else None


def delayed_name(waiting: str, due: float) -> str:
    """The name under which a file waits until *due*, in epoch seconds."""
    return f"{time_text(int(due * 1e6))}-{waiting}"


def is_delayed(name: str) -> bool:
    """Whether *name* is that of a file that waits for a retry."""
    return name[:_DIGITS].isdecimal() and name[_DIGITS : _DIGITS + 1] == "-"


def undelayed(name: str) -> str:
    """The waiting name of the file that is called *name* while it waits for a retry."""
    return name[_DIGITS + 1 :]


def due_time(name: str) -> float:
    """When the file called *name* is to be tried again, in epoch seconds."""
    return int(name[:_DIGITS]) / 1e6


class WorkerName(NamedTuple):
    """What the name of a worker's folder tells."""

    #: 0 when it tells none.
    pid: int
    #: Of which run of the module the worker is; '' = unknown.
    generation: str
    #: Its folder is not locked yet.
    is_new: bool

    @classmethod
    def parsed(cls, name: str) -> WorkerName:
        """The name of a folder, read."""
        is_new = name.startswith(_NEW)
        pid, _, rest = name.removeprefix(_NEW).lstrip(".").partition("-")
        return cls(int(pid) if pid.isdecimal() else 0, rest.partition("-")[2], is_new)


def worker_name(generation: str = "") -> str:
    """A unique name for the folder of this process."""
    return f"{os.getpid()}-{os.urandom(4).hex()}" + (f"-{generation}" if generation else "")


def new_worker_name(name: str) -> str:
    """What the folder *name* is called until its worker has locked it."""
    return f"{_NEW}{name}"


def prepared_path(claimed: str | Path) -> Path:
    """The transaction of the file at *claimed* while it is made."""
    return Path(f"{claimed}{PREPARED}")


def committed_path(claimed: str | Path) -> Path:
    """The transaction of the file at *claimed* once it counts."""
    return Path(f"{claimed}{COMMITTED}")


def claimed_path(committed: Path) -> Path:
    """The file whose transaction is *committed*."""
    return committed.with_name(committed.name.removesuffix(COMMITTED))
