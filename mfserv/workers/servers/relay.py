"""Relay: takes connections from the socket of a worker to where its program listens, for programs that take no socket.

So requests wait while the program changes, as for any other worker, and what is in hand is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import socket

#: Bytes that are read at once.
_PIECE = 1 << 16

#: Opens a connection to the program.
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Relay:
    """Connections from *listening* to the program that *connect* reaches."""

    def __init__(self, listening: socket, connect: Connect) -> None:
        self.listening = listening
        self.connect = connect
        self._server: asyncio.Server | None = None
        #: Connections on which the program has the word.
        self._asked: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def busy(self) -> int:
        """Connections whose last byte came from the client: the program has not answered yet."""
        return len(self._asked)

    async def start(self) -> None:
        """Relay from now on."""
        self._server = await asyncio.start_unix_server(self._serve, sock=self.listening.dup(), limit=_PIECE)

    def stop_accepting(self) -> None:
        """Take no new connection; those just taken go on."""
        loop = asyncio.get_running_loop()
        for one in self._server.sockets if self._server else ():
            loop.remove_reader(one.fileno())

    def end(self) -> None:
        """Close what is left."""
        for writer in list(self._open):
            writer.close()
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            program = await self.connect()
            await asyncio.gather(
                self._pass(reader, program[1], lambda: self._asked.add(writer)),
                self._pass(program[0], writer, lambda: self._asked.discard(writer)),
            )
        except OSError:
            pass  # who asked sees the end of the connection
        finally:
            self._asked.discard(writer)
            self._open.discard(writer)
            writer.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, note: Callable[[], None]) -> None:
        try:
            while piece := await source.read(_PIECE):
                note()
                target.write(piece)
                await target.drain()
        finally:
            with suppress(OSError):
                target.close()
