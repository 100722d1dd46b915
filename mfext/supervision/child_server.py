"""Child server: a server that is not ours, such as HAProxy, kept running by a supervised process of ours.

Its keeper says for it when it is ready, reads what it writes, starts it again when it dies, and lets it finish its
work when it is told to drain: things that such a server does its own way, or not at all.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress

from mfext import log
from mfext.mainloop import Mainloop
from mfext.supervision.child import tied_to_us

#: Bytes that the pipe of its output can hold, and seconds in which output gathers: one read for many lines.
_PIPE, _GATHER = 1 << 20, 0.05
#: Seconds between two looks while it starts or ends, and while nothing happens.
_LOOK, _WATCH = 0.02, 5.0
#: Looks in a row that find a server without work before it is taken for drained.
_IDLE_LOOKS = 4
#: Seconds that it must have lived for its death to be an accident.
_SHORT_LIFE = 1.0

_log = log.get_logger(__name__)


class ChildServer(ABC):
    """A server as a child of this process; subclasses say what is special about it."""

    #: What it is called, for people.
    name: str
    #: Seconds that it may take until it is ready.
    start_timeout: float = 10.0
    #: What lets it finish its work, and what ends it.
    drain_signal: signal.Signals = signal.SIGTERM
    stop_signal: signal.Signals = signal.SIGTERM

    def __init__(self) -> None:
        """Start it."""
        self.process = self._spawn()

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Program and arguments.

        Raises:
            ServiceUnavailable: it is not on this machine.
        """

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it does its work."""

    @abstractmethod
    def take_output(self, data: bytes) -> None:
        """Take what it wrote to its standard output."""

    def is_busy(self) -> bool:
        """Whether it has work in hand, asked once it drains; True = it ends by itself when it has none."""
        return True

    def look(self) -> None:  # noqa: B027  # most have nothing to do
        """Do what is to be done every few seconds."""

    def run(self, loop: Mainloop) -> int:
        """Keep it running until told to stop; the exit status."""
        deadline = time.monotonic() + self.start_timeout
        is_ready = is_draining = False
        idle = 0
        while not loop.stopping and self._lives(is_draining) and idle < _IDLE_LOOKS:
            if not is_ready and (is_ready := self.is_ready()):
                loop.ready()
            if not is_ready and time.monotonic() > deadline:
                print(f"{self.name} does not answer", file=sys.stderr)
                return 1
            if loop.draining and not is_draining:
                loop.ready(draining="1")
                self.process.send_signal(self.drain_signal)
                is_draining = True
            if is_draining:
                idle = 0 if self.is_busy() else idle + 1
            if loop.wait(self._output, timeout=_WATCH if is_ready and not loop.draining else _LOOK):
                self.read_output()
                loop.wait(timeout=_GATHER)
            self.look()
        return self._end(loop)

    def read_output(self) -> None:
        """Take all that it has written until now."""
        with suppress(BlockingIOError):
            while data := os.read(self._output, _PIPE):
                self.take_output(data)

    def _end(self, loop: Mainloop) -> int:
        if loop.draining and not loop.stopping:
            loop.drained()
            while not loop.stopping:
                loop.wait()
        if loop.stopping:
            self.process.send_signal(self.stop_signal)
        status = self.process.wait()
        self.read_output()
        return 0 if loop.stopping else status or 1

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._output, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            with suppress(OSError):  # more than this user may have
                fcntl.fcntl(written, fcntl.F_SETPIPE_SZ, _PIPE)
            # Sockets and files that it makes without a mode of their own are its user's.
            process = subprocess.Popen(self.command(), stdout=written, preexec_fn=tied_to_us(), umask=0o077)
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(written)
        self._started = time.monotonic()
        return process

    def _lives(self, is_draining: bool) -> bool:
        """Whether it lives, or does so again: to wait until somebody starts this process anew takes longer."""
        if self.process.poll() is None:
            return True
        if is_draining or time.monotonic() - self._started < _SHORT_LIFE:
            return False
        _log.error("a server has died, and is started again", server=self.name, status=self.process.returncode)
        self.read_output()
        os.close(self._output)
        self.process = self._spawn()
        return True
