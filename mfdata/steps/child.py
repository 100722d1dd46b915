"""Child: a program that runs with a deadline, dies with us and leaves nothing behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mfext.supervision.child import tied_to_us

#: Bytes kept of what the program writes: the last ones.
TAIL = 4096
#: Seconds between asking the program to end and killing it.
GRACE = 2.0


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    #: Exit status; minus the number of the signal that ended it.
    status: int
    #: It had to be ended at its deadline.
    timed_out: bool
    #: The last of what it wrote, standard output and error together.
    output: str


def run(words: Sequence[str], timeout: float) -> Ended:
    """Run the program *words*, without a shell and in a process group of its own.

    However this ends, no process of the group is left. The program is killed when this process dies.

    Args:
        words: program and arguments.
        timeout: seconds after which the group is told to end, and then killed; 0 = never.

    Raises:
        OSError: the program cannot be started.
    """
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=tied_to_us(),
    )
    watch = _Watch(process)
    try:
        timed_out = not watch.wait(timeout or None)
        if timed_out:
            _signal_group(process.pid, signal.SIGTERM)
            watch.wait(GRACE)
    finally:
        # Its pid cannot be given to another group before it is reaped, so this hits nobody else.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        watch.close()
    return Ended(process.returncode, timed_out, watch.tail.decode("utf-8", "replace"))


class _Watch:
    """Reads what a program writes until it ends; only the last of it is kept."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.tail = b""
        self._output = process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._pidfd = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._pidfd, selectors.EVENT_READ)

    def wait(self, timeout: float | None) -> bool:
        """Whether the program ended within *timeout* seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            ready = {key.fileobj for key, _ in self._selector.select(left)}
            if self._output in ready and not self._read():
                self._selector.unregister(self._output)
            if self._pidfd in ready:
                return True

    def close(self) -> None:
        """Take what is still in the pipe."""
        with suppress(BlockingIOError):
            while self._read():
                pass
        self._selector.close()
        self._output.close()
        os.close(self._pidfd)

    def _read(self) -> bytes:
        data = os.read(self._output.fileno(), 65536)
        self.tail = (self.tail + data)[-TAIL:]
        return data


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
