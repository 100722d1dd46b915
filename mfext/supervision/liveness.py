"""Liveness: the loop of a process says that it turns, and the arbiter ends a process whose loop stands still.

A loop writes into eight bytes of memory, which the arbiter reads: the number of its turn while it has something to do,
0 while it sleeps. So an idle process does nothing for it, and a busy one stores a number twice a turn. A number that
stays the same for longer than ``stalled_after`` is a loop that stands still: one piece of work keeps it to itself, for
ever or for too long, or waits for what does not come. A process that was stopped by a signal turns neither. Where the
work is done by threads, turns of the loop say nothing once all of them are occupied: from then on, their steps count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mfext.supervision.children import Children

T = TypeVar("T")

#: The name of the memory, by which the arbiter finds it among the open files of the process.
_NAME = "metwork-pulse"
_SIZE = 8
#: Longest time that counts between two looks: while the machine slept, nobody could turn.
_AT_ONCE = 5.0
#: Looks in a row that must find the same, however short the time that is allowed.
_LOOKS = 2
#: Seconds between two looks, at most, for the memory of a process that has shown none so far.
_LONGEST_PAUSE = 30.0


class Pulse:
    """What the loop of this process says of itself."""

    def __init__(self) -> None:
        from mmap import mmap  # a step that ends at once need not wait for it

        fd = os.memfd_create(_NAME)
        os.ftruncate(fd, _SIZE)
        self._memory = mmap(fd, _SIZE)  # it has the file open by itself
        os.close(fd)
        self._word = memoryview(self._memory).cast("Q")
        self._turn = 0
        self._occupied = False

    def close(self) -> None:
        """Say nothing any more; what was said last is still seen by who looks already."""
        self._word.release()
        self._memory.close()

    def sleeps(self) -> None:
        """Say that there is nothing to do."""
        self._word[0] = self._turn if self._occupied else 0

    def turns(self) -> None:
        """Say that there is something to do, or that it goes on."""
        if not self._occupied:
            self._turn += 1
        self._word[0] = self._turn

    def occupied(self, everybody: bool) -> None:
        """Say whether all threads that work are occupied. May be called by any thread, one at a time.

        While they are, what the loop does counts no more: only each further call is a turn.
        """
        # In this order: a turn of the loop at the same time may write what was true before, the next one mends it.
        self._occupied = everybody
        self._turn += 1
        self._word[0] = self._turn


def run(act: Coroutine[Any, Any, T], pulse: Pulse) -> T:
    """What *act* gives, in a loop of asyncio that tells *pulse* of its turns."""
    import asyncio
    import selectors

    class Selector(selectors.DefaultSelector):
        """Where the loop sleeps."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is None or timeout > 0:
                pulse.sleeps()
            try:
                return super().select(timeout)
            finally:
                pulse.turns()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Selector())) as runner:
        return runner.run(act)


@dataclass
class _Seen:
    """What was seen of one process."""

    #: Its memory; -1 = not found so far.
    fd: int
    turn: int = -1
    #: Seconds for which it has been the same turn, and looks that found so.
    standing: float = 0.0
    looks: int = 0
    #: When its memory is looked for once more, and the pause until then: many never have one.
    search_at: float = 0.0
    pause: float = 1.0


class Liveness:
    """Looks at the loops of the children, and ends those that stand still. All of it runs in the arbiter's loop."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._seen: dict[int, _Seen] = {}
        self._looked = time.monotonic()

    def standing(self, pid: int) -> float:
        """Seconds for which the loop of the child *pid* has stood still at least."""
        return self._seen[pid].standing if pid in self._seen else 0.0

    def look(self, limit_of: Callable[[str], float]) -> None:
        """Look at each child once; *limit_of* tells by the name of a process what is allowed, in seconds, 0 = all."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _AT_ONCE), now
        limits = {pid: limit_of(child.process) for pid, child in self._children.alive.items() if not child.asked}
        self._forget({pid for pid, limit in limits.items() if limit})
        for pid, limit in limits.items():
            if limit and self._stands(pid, passed) and self._seen[pid].standing >= limit:
                self._children.kill_stalled(pid, self._seen[pid].standing)

    def _stands(self, pid: int, passed: float) -> bool:
        """Whether the process has not turned since the last look."""
        seen = self._seen.setdefault(pid, _Seen(-1))
        if seen.fd < 0 and self._looked >= seen.search_at:
            seen.fd, seen.pause = memory_of(pid), min(2 * seen.pause, _LONGEST_PAUSE)
            seen.search_at = self._looked + seen.pause
        turn = int.from_bytes(os.pread(seen.fd, _SIZE, 0), "little") if seen.fd >= 0 else 0
        if turn != seen.turn or not (turn or _is_stopped(pid)):
            seen.turn, seen.standing, seen.looks = turn, 0.0, 0
        else:
            seen.standing += passed
            seen.looks += 1
        return seen.looks >= _LOOKS

    def _forget(self, watched: set[int]) -> None:
        for pid in self._seen.keys() - watched:
            seen = self._seen.pop(pid)
            if seen.fd >= 0:
                os.close(seen.fd)


def memory_of(pid: int) -> int:
    """The memory in which the process *pid* says that its loop turns, opened; -1 when it has none."""
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):  # it has just ended
        for name in os.listdir(folder):  # noqa: PTH208  # asked often, of processes that never have one
            with suppress(OSError):
                if os.readlink(f"{folder}/{name}").startswith(f"/memfd:{_NAME}"):  # noqa: PTH115
                    return os.open(f"{folder}/{name}", os.O_RDONLY)
    return -1


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the child *pid*."""
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    return False
