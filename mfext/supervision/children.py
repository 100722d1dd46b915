"""Children: the arbiter's processes that live now, how each ends, and how they are led to their end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from mfext.environment import Home
from mfext.log import get_logger
from mfext.mainloop import ready_file
from mfext.supervision.exits import Exit, note_exit, signal_name

log = get_logger(__name__)

#: Seconds between two looks at what is draining or ending.
_POLL = 0.02
#: Seconds that a process which has drained gets to end.
_LAST_SECONDS = 5.0


@dataclass
class Child:
    """A process that lives."""

    pid: int
    process: str
    #: When its command started, or will: launch may have to wait.
    started: float
    #: It was told to end.
    asked: bool = False
    #: It did not in time, and is killed for that.
    overdue: bool = False
    #: Seconds for which its loop stood still, when it is killed for that.
    stalled: float = 0.0


class Children:
    """The one place that knows which pids live, and that tells each end once."""

    def __init__(self, home: Home, ended: Callable[[str, Exit], None], is_out_of_memory: Callable[[str], bool]) -> None:
        """Args say whom to call.

        Args:
            home: where ends are noted.
            ended: is told the name of the process after each end.
            is_out_of_memory: tells by the name of the process whether the kernel has killed for memory meanwhile.
        """
        self.home = home
        self.alive: dict[int, Child] = {}
        self._ended = ended
        self._is_out_of_memory = is_out_of_memory

    def add(self, process: str, pid: int, started: float) -> None:
        """A process was started."""
        self.alive[pid] = Child(pid, process, started)

    def look(self) -> None:
        """Note who has ended, without taking the zombies away from circus, which would then not see them end.

        What such a process has started itself, in its session, is killed: it would go on with work that is given to
        another. As long as the zombie is there, its number cannot mean anybody else.
        """
        for pid in list(self.alive):
            with suppress(ChildProcessError):  # circus was quicker, and tells by reaped()
                found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found:
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(pid, signal.SIGKILL)
                    exited = found.si_code == os.CLD_EXITED
                    self.reaped(pid, found.si_status if exited else -found.si_status)

    def forget_lost(self) -> None:
        """Note the end of those that are gone although nobody saw how."""
        for pid in list(self.alive):
            try:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                self.reaped(pid, None)

    def reaped(self, pid: int, code: int | None) -> None:
        """The process *pid* ended with this status, or minus the number of a signal; telling it twice does nothing."""
        child = self.alive.pop(pid, None)
        if child is None:
            return
        mark = ready_file(self.home, child.process, pid)
        end = Exit(
            pid=pid,
            started=child.started,
            time=time.time(),
            status=code if code is not None and code >= 0 else None,
            signal=signal_name(-code) if code is not None and code < 0 else "",
            asked=child.asked,
            ready=mark.exists(),
            overdue=child.overdue,
            out_of_memory=code == -signal.SIGKILL
            and not (child.overdue or child.stalled)
            and self._is_out_of_memory(child.process),
            stalled=child.stalled,
        )
        try:
            mark.unlink(missing_ok=True)
            note_exit(self.home, child.process, end)
        except OSError as error:
            log.error("an exit could not be noted", child=child.process, child_pid=pid, error=error)
        self._ended(child.process, end)

    def facts(self, pid: int) -> dict[str, object] | None:
        """What the process said of itself; None before it is ready."""
        try:
            found = json.loads(ready_file(self.home, self.alive[pid].process, pid).read_bytes())
        except (KeyError, OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    async def drain_and_end(self, pids: Iterable[int], timeout: float) -> None:
        """Let processes finish their work and end; whoever still lives after *timeout* seconds is killed.

        Who has said that it is ready understands SIGUSR1 and is told to drain first, then to stop; the others are
        told to stop. Returns when all have ended.
        """
        deadlines = {pid: time.monotonic() + timeout for pid in pids if pid in self.alive}
        draining = {pid for pid in deadlines if self.facts(pid) is not None}
        for pid in deadlines:
            self.alive[pid].asked = True
            self._signal(pid, signal.SIGUSR1 if pid in draining else signal.SIGTERM)
        while living := [pid for pid in deadlines if pid in self.alive]:
            now = time.monotonic()
            for pid in living:
                if now > deadlines[pid]:
                    self._kill(pid)
                    deadlines[pid] = float("inf")
                elif pid in draining and (self.facts(pid) or {}).get("drained"):
                    draining.remove(pid)
                    deadlines[pid] = max(deadlines[pid], now + _LAST_SECONDS)
                    self._signal(pid, signal.SIGTERM)
            await asyncio.sleep(_POLL)

    def kill_stalled(self, pid: int, standing: float) -> None:
        """Kill a process whose loop has stood still for so many seconds."""
        child = self.alive[pid]
        if not child.stalled:  # else the kernel has not been able to end it yet
            log.error(
                "the loop of a process stands still: it is killed",
                child=child.process,
                child_pid=pid,
                standing_s=round(standing, 1),
            )
        child.stalled = standing
        self._signal(pid, signal.SIGKILL)

    def _kill(self, pid: int) -> None:
        log.warning("process did not end in time and is killed", child=self.alive[pid].process, child_pid=pid)
        self.alive[pid].overdue = True
        self._signal(pid, signal.SIGKILL)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        """Signal a child, whose number means nobody else as long as it is in ``alive``: circus reaps after ``look``."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)
