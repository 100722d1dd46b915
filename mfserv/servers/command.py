"""CommandServer: a program that serves HTTP on the listening socket that it inherits."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from socket import socket

from mfext.errors import PluginError

#: The number of the file under which the program finds its socket, as systemd gives it.
_FIRST = 3
_PR_SET_PDEATHSIG = 1


class CommandServer:
    """A program, and how it is ended: by SIGTERM, on which it must finish what it has in hand."""

    #: The program does not tell.
    busy = standing = 0

    def __init__(self, command: str, listening: socket, graceful_timeout: float) -> None:
        self.words = [word.replace("{PYTHON}", sys.executable) for word in shlex.split(command)]
        self.listening = listening
        self.graceful_timeout = graceful_timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the program.

        Raises:
            PluginError: it cannot be started.
        """
        libc = ctypes.CDLL(None)
        parent, source = os.getpid(), self.listening.fileno()

        def prepare() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            os.dup2(source, _FIRST)
            os.set_inheritable(_FIRST, True)
            os.set_blocking(_FIRST, True)

        try:
            # A shell only says who it is (LISTEN_PID) and becomes the program.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", *self.words],
                preexec_fn=prepare,
                close_fds=False,
            )
        except OSError as error:
            raise PluginError(f"the program cannot be started: {error}") from None

    def stop_accepting(self) -> None:
        """Tell the program to finish."""
        if self._process and self.is_alive:
            self._process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        """Wait for the program to end."""
        if self._process is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self.graceful_timeout):
                while self.is_alive:
                    await asyncio.sleep(0.02)
        if self.is_alive:
            self._process.kill()
