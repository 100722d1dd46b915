"""How supervised processes ended: noted by the arbiter, read by whoever wants to know what killed a process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mfext.environment import Home
from mfext.fs.rotating_file import AppendFile

#: Some hundred exits of each process are kept.
_MAX_BYTES, _KEEP = 30_000, 1

#: Seconds in which a process that never became ready must not end, and one that was ready.
_SOON_UNREADY, _SOON_READY = 10.0, 1.0

#: So many exits soon after the start, in a row, make a process a failing one.
FAILURES = 3


@dataclass(frozen=True)
class Exit:
    """The end of one process."""

    pid: int
    #: When its command was started and when it ended, in seconds since the epoch.
    started: float
    time: float
    #: Exit status; None when a signal ended it, or when nobody knows.
    status: int | None = None
    #: Name of the signal that ended it, for example ``SIGKILL``; '' = none.
    signal: str = ""
    #: It was told to end.
    asked: bool = False
    #: It had said that it was ready.
    ready: bool = False
    #: It was told to end, did not in time, and was killed for that alone: nothing is said against what it was doing.
    overdue: bool = False
    #: The kernel killed it, since its processes together had used up their ``memory_max``.
    out_of_memory: bool = False
    #: It was killed since its loop had stood still for so many seconds; 0 = it was not.
    stalled: float = 0.0

    @property
    def lived(self) -> float:
        """Seconds from start to end."""
        return max(0.0, self.time - self.started)

    @property
    def is_failure(self) -> bool:
        """Whether it ended so soon, unasked, that starting it again at once would be of no use."""
        return not self.asked and self.lived < (_SOON_READY if self.ready else _SOON_UNREADY)

    @property
    def _why(self) -> str:
        if self.overdue:
            return ", since it did not end in time when told to"
        if self.stalled:
            return f", since its loop had stood still for {self.stalled:.0f} s"
        return ", since memory_max was used up" if self.out_of_memory else ""

    def __str__(self) -> str:
        how = f"exit status {self.status}" if self.status is not None else "ended in an unknown way"
        if self.signal:
            how = f"killed by {self.signal}{self._why}"
        return f"{how}, {self.lived:.1f} s after its start"


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; a number that has no name is shown as such."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def failures_in_a_row(exits: Sequence[Exit], numprocesses: int = 1) -> int:
    """How often each of *numprocesses* processes failed at its start since one of them last lived (pure)."""
    count = 0
    for end in reversed(exits):
        if not end.is_failure:
            break
        count += 1
    return count // max(1, numprocesses)


def backoff(failures: int, longest: float) -> float:
    """Seconds to wait before the next start after *failures* in a row (pure)."""
    return min(longest, 2.0 ** min(failures, 20) / 4) if failures >= FAILURES else 0.0


def note_exit(home: Home, process: str, end: Exit) -> None:
    """Add *end* to what is known of the process called *process*."""
    path = _path(home, process)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = AppendFile(path, _MAX_BYTES, _KEEP)
    try:
        file.write(json.dumps(asdict(end)).encode() + b"\n")
    finally:
        file.close()


def exits_of(home: Home, process: str) -> list[Exit]:
    """The last exits of the processes called *process*, oldest first."""
    path = _path(home, process)
    return [*_read(Path(f"{path}.1")), *_read(path)]


def exit_of(home: Home, process: str, pid: int) -> Exit | None:
    """How the process *pid* of *process* ended; None when it lives, died with the arbiter, or is long forgotten."""
    return next((end for end in reversed(exits_of(home, process)) if end.pid == pid), None)


def _read(path: Path) -> Iterator[Exit]:
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, TypeError):  # cut by a full disk
                yield Exit(**json.loads(line))


def _path(home: Home, process: str) -> Path:
    return home.run / "exits" / process
