"""Listener: holds the socket on which a module is asked for its metrics, and starts their server for who asks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from mfext.environment import Home, child_variables
from mfext.log import get_logger
from mfext.net.unix import listen_at

#: The socket, in the folder of what runs.
SOCKET = "metrics.sock"
#: Seconds until a server that could not be started is tried again.
_AGAIN = 5.0

_log = get_logger(__name__)


class MetricsListener:
    """The socket of one home; a process serves it while somebody asks."""

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop) -> None:
        """Args: the home; the loop that watches the socket."""
        self._home = home
        self._loop = loop
        self._server: subprocess.Popen[bytes] | None = None
        self._listening = listen_at(home.run / SOCKET)
        self._watch()

    def close(self) -> None:
        """Listen no more, and end the server."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        if self._server:
            self._server.terminate()

    def _watch(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._start)

    def _start(self) -> None:
        self._loop.remove_reader(self._listening)
        descriptor = self._listening.fileno()
        command = [sys.executable, "-m", "mfext.metrics.server", str(descriptor)]
        try:
            self._server = subprocess.Popen(
                command,
                # By its name it is found and killed, should the arbiter be killed.
                env={**child_variables(self._home), "METWORK_PROCESS": "metrics"},
                pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            process = os.pidfd_open(self._server.pid)
        except OSError as error:
            _log.error("the server of metrics could not be started", error=error)
            self._loop.call_later(_AGAIN, self._watch)
            return
        self._loop.add_reader(process, self._ended, process)

    def _ended(self, process: int) -> None:
        self._loop.remove_reader(process)
        os.close(process)
        if self._server and self._server.wait():
            _log.error("the server of metrics ended by a fault", status=self._server.returncode)
            self._loop.call_later(_AGAIN, self._watch)
        else:
            self._watch()
        self._server = None
