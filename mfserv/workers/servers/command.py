"""CommandServer: a program that serves HTTP, on the listening socket that it inherits or where it is told to listen."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mfext.errors import PluginError
from mfext.plugin.running import command_words
from mfext.supervision.child import tied_to_us
from mfserv.workers.servers.relay import Relay

#: The number of the file under which the program finds its socket, as systemd gives it.
_FIRST = 3
#: Bytes that the path of a socket may have.
_LONGEST_PATH = 107
#: Seconds between two looks at whether the program listens, or has ended.
_LOOK = 0.02


class CommandServer:
    """A program, and how it is ended: by SIGTERM, on which it must finish what it has in hand."""

    #: WebSockets are not told from requests.
    standing = 0

    def __init__(
        self,
        command: str,
        listening: socket.socket,
        graceful_timeout: float,
        own_socket: Path,
        values: Mapping[str, str],
    ) -> None:
        """*own_socket* is where the program listens if its command asks with {SOCKET}."""
        self.listening = listening
        self.graceful_timeout = graceful_timeout
        self.own_socket = own_socket
        self.port = free_port() if "{PORT}" in command else 0
        self._listens_itself = "{SOCKET}" in command or bool(self.port)
        given = {
            **values,
            "PYTHON": sys.executable,
            "FD": str(_FIRST),
            "SOCKET": str(own_socket),
            "PORT": str(self.port),
        }
        self.words = command_words(command, given, "cmd")
        self._process: subprocess.Popen[bytes] | None = None
        self._relay = Relay(listening, self._connect)

    @property
    def busy(self) -> int:
        """Requests in hand, as far as they can be seen: a program with the socket itself does not tell."""
        return self._relay.busy

    @property
    def is_alive(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the program, and wait until it listens where that is its business.

        Raises:
            PluginError: it cannot be started, or it has ended.
        """
        if self._listens_itself:
            if not self.port and len(os.fsencode(self.own_socket)) > _LONGEST_PATH:
                raise PluginError("the path of its socket is too long", where=str(self.own_socket), mend="Use {PORT}.")
            self.own_socket.unlink(missing_ok=True)
        if shutil.which(self.words[0]) is None:  # the shell would say so when the worker is ready already
            raise PluginError(f'there is no program "{self.words[0]}" that can be started', where="cmd")
        self._process = self._spawn()
        if not self._listens_itself:
            return
        while not await self._listens():
            if not self.is_alive:
                raise PluginError(f"the program has ended with status {self._process.returncode} before it listened")
            await asyncio.sleep(_LOOK)
        await self._relay.start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        tie, source, inherits = tied_to_us(), self.listening.fileno(), not self._listens_itself

        def prepare() -> None:
            tie()
            if inherits:
                os.dup2(source, _FIRST)
                os.set_inheritable(_FIRST, True)
                os.set_blocking(_FIRST, True)

        # A shell only says who it is (LISTEN_PID) and becomes the program.
        told = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' if inherits else 'exec "$@"'
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", told, "sh", *self.words], preexec_fn=prepare, close_fds=not inherits
            )
        except OSError as error:
            raise PluginError(f"the program cannot be started: {error}") from None

    def stop_accepting(self) -> None:
        """Tell the program to finish; one that listens itself is told once what is in hand is answered."""
        if self._listens_itself:
            self._relay.stop_accepting()
        elif self._process and self.is_alive:
            self._process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        """Wait for the program to end."""
        self._relay.end()
        if self._process is None:
            return
        if self._listens_itself and self.is_alive:
            self._process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.graceful_timeout):
                while self.is_alive:
                    await asyncio.sleep(_LOOK)
        if self.is_alive:
            self._process.kill()
        if self._listens_itself:
            self.own_socket.unlink(missing_ok=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.port:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await asyncio.open_unix_connection(self.own_socket)

    async def _listens(self) -> bool:
        try:
            _, writer = await self._connect()
        except OSError:
            return False
        writer.close()
        return True


def free_port() -> int:
    """A port of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
