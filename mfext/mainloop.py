"""Mainloop: how a long-running process of ours hears that it shall drain or stop, and says that it is ready."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from mfext.environment import Home, current_module, current_process, home_of
from mfext.fs.atomic import replace_file
from mfext.supervision.liveness import Pulse
from mfext.supervision.liveness import run as run_with

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

T = TypeVar("T")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def ready_file(home: Home, process: str, pid: int) -> Path:
    """Where the process *pid* says that it is ready."""
    return home.run / "ready" / process / str(pid)


def ready_facts(home: Home, process: str) -> dict[int, dict[str, Any]]:
    """What the ready copies of *process* that live say of themselves, by pid."""
    folder, facts = home.run / "ready" / process, {}
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):  # noqa: PTH208  # quick, and asked often
            with suppress(OSError, ValueError):  # unfinished, or just ended
                if os.path.exists(f"/proc/{int(name)}"):  # noqa: PTH110
                    facts[int(name)] = json.loads((folder / name).read_bytes())
    return facts


class Mainloop:
    """The signals of a process, as facts to look at between two pieces of work.

    ``with Mainloop() as loop:`` installs the handlers: SIGTERM and SIGINT set ``stopping``; SIGUSR1 sets
    ``draining``: take no new work, finish the work in hand, call ``drained()`` and go on waiting for the stop.
    ``wakeup_fd`` becomes readable whenever one of them comes, so that a poll() with it sleeps without a timeout.
    """

    def __init__(self, home: Home | None = None, process: str | None = None) -> None:
        """Args say who this process is; by default as the supervisor told it. '' = not supervised: say nothing."""
        self.process = current_process() if process is None else process
        self.stopping = False
        self.draining = False
        self.wakeup_fd = -1
        self._write_fd = -1
        self._facts: dict[str, Any] = {}
        self._file: Path | None = None
        if self.process:
            self._file = ready_file(home or home_of(current_module()), self.process, os.getpid())
        self._before: dict[int, Any] = {}
        #: Polls for the descriptors that were asked for last, besides ``wakeup_fd``.
        self._poll = select.poll()
        self._polled: tuple[int, ...] = ()
        self._wakeup_before = -1
        #: Once it waits here; who waits elsewhere says nothing of his loop.
        self._pulse: Pulse | None = None

    def __enter__(self) -> Mainloop:
        self.wakeup_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll, self._polled = select.poll(), ()
        self._poll.register(self.wakeup_fd, select.POLLIN)
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pulse:
            self._pulse.close()
            self._pulse = None
        if self._file:
            self._file.unlink(missing_ok=True)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.wakeup_fd)
        os.close(self._write_fd)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.draining = True
        elif number == signal.SIGINT and self.stopping:
            raise KeyboardInterrupt  # a second Ctrl-C: the work in hand does not end
        else:
            self.stopping = True

    def ready(self, **facts: object) -> None:
        """Say that the process does its work from now on. May be called again with new facts, which add up."""
        self._facts.update(facts)
        if self._file:
            self._publish(self._file)

    def drained(self) -> None:
        """Say that no work is in hand and none will be taken."""
        self._facts["drained"] = True
        if self._file:
            self._publish(self._file)

    def wait(self, *fds: int, timeout: float | None = None) -> set[int]:
        """Sleep until one of *fds* is readable, a signal comes, or *timeout* seconds are over; the readable ones."""
        if fds != self._polled:
            self._poll, self._polled = select.poll(), fds
            for fd in {self.wakeup_fd, *fds}:
                self._poll.register(fd, select.POLLIN)
        pulse = self._pulse or self._new_pulse()
        pulse.sleeps()
        found = {fd for fd, _ in self._poll.poll(None if timeout is None else max(0, timeout * 1000))}
        pulse.turns()
        if self.wakeup_fd in found:
            self.clear_wakeup()
        return found - {self.wakeup_fd}

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        """What *act* gives, in a loop of asyncio."""
        return run_with(act, self._pulse or self._new_pulse())

    def turns(self) -> None:
        """Say in the middle of much work that it goes on: see ``stalled_after``."""
        if self._pulse:
            self._pulse.turns()

    def occupied(self, everybody: bool) -> None:
        """Say whether all threads that work are occupied, and again at each step of theirs: see ``Pulse.occupied``."""
        if self._pulse:
            self._pulse.occupied(everybody)

    def _new_pulse(self) -> Pulse:
        self._pulse = Pulse()
        return self._pulse

    def signal_event(self) -> asyncio.Event:
        """An event that is set in the running asyncio loop whenever a signal came, for whoever waits in one."""
        import asyncio

        event = asyncio.Event()

        def set_event() -> None:
            self.clear_wakeup()
            event.set()

        asyncio.get_running_loop().add_reader(self.wakeup_fd, set_event)
        return event

    def clear_wakeup(self) -> None:
        """Empty ``wakeup_fd``, for whoever polls it himself: look at the facts after this, not before."""
        with suppress(BlockingIOError):
            os.read(self.wakeup_fd, 4096)

    def _publish(self, file: Path) -> None:
        """Write the facts so that a reader finds all of them or none."""
        facts = {"pid": os.getpid(), "time": time.time(), **self._facts}
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps(facts))
