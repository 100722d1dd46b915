"""Bodies: the process that bounds bodies whose length is not said; ``python -m mfserv.bodies``.

The router knows the length of a body that says it. One that comes in chunks, as large as it likes, the router sends
through here, and it comes back to the router for its app: counted as it passes, and held nowhere. What becomes too
large is refused, whatever kind of app it is for.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress

from mfext.daemon import Daemon, run_daemon
from mfext.mainloop import Mainloop
from mfserv.chunked import Chunked
from mfserv.haproxynames import BODIES, SIZED
from mfserv.sockets import listen

PROCESS = "bodies"
_PIECE, _LONGEST_HEAD = 1 << 16, 1 << 16
#: Seconds for which what comes after a refusal is thrown away.
_LINGER = 5.0
#: Seconds between two looks at what is in hand.
_LOOK = 0.02
#: How the router says how many bytes the body may have.
_LIMIT = re.compile(rb"\r\nx-metwork-max-body: *([0-9]+)\r\n", re.IGNORECASE)
#: A body whose length is said comes here only when it is too large.
_LENGTH = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)
_REFUSED = b'{"title":"the body is too large","status":413}'
_ANSWER = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSED), _REFUSED)
)


class TooLarge(Exception):
    """The body is larger than it may be."""


class Bodies:
    """Requests on their way; each has a connection of its own."""

    def __init__(self) -> None:
        #: Requests in hand.
        self.busy = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a request on, and its answer back."""
        self.busy += 1
        try:
            with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await Exchange(reader, writer).run()
        finally:
            self.busy -= 1
            writer.close()


class Exchange:
    """One request with its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._is_answered = False

    async def run(self) -> None:
        """Pass both on until the answer is over, the client has gone, or the body is too large."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        if _LENGTH.search(head):  # the router lets no other come here
            await self._refuse()
            return
        answers, app = await asyncio.open_unix_connection(SIZED, limit=_PIECE)
        tasks = [asyncio.create_task(self._ask(head, app)), asyncio.create_task(self._answer(answers))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except TooLarge:
            app.transport.abort()
            if not self._is_answered:
                await self._refuse()
        finally:
            for task in tasks:
                task.cancel()
            app.transport.abort()  # an app must not take what has come of the body for the whole

    async def _ask(self, head: bytes, app: asyncio.StreamWriter) -> None:
        """Pass the request on; ends with the connection of who asks."""
        found = _LIMIT.search(head)
        most = int(found[1]) if found else 0
        body = Chunked()
        app.write(head)
        while piece := await self.reader.read(_PIECE):
            passed = body.pass_on(piece)
            if body.size > most:
                raise TooLarge
            if passed and not app.is_closing():
                with suppress(OSError):  # an app may answer and hang up without the rest: its answer is waited for
                    app.write(passed)
                    await app.drain()

    async def _refuse(self) -> None:
        """Say why, and take what still comes for a while: who is cut off while sending may not read the answer."""
        self._is_answered = True
        self.writer.write(_ANSWER)
        await self.writer.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self.reader.read(_PIECE):
                    pass

    async def _answer(self, answers: asyncio.StreamReader) -> None:
        while (piece := await answers.read(_PIECE)) and not self.writer.is_closing():
            self._is_answered = True
            self.writer.write(piece)
            await self.writer.drain()


def main() -> None:
    """Run as the supervised process ``bodies``."""
    run_daemon(_run, process=PROCESS)


def _run(daemon: Daemon) -> None:
    os.chdir(daemon.home.run)  # paths of sockets must be short
    with Mainloop(daemon.home) as loop:
        loop.run(serve(loop))


async def serve(loop: Mainloop) -> None:
    """Serve until told to stop; told to drain, go on until nothing is in hand."""
    bodies = Bodies()
    server = await asyncio.start_unix_server(bodies.serve, sock=listen(BODIES), limit=_LONGEST_HEAD)
    signalled = loop.signal_event()
    loop.ready()
    while not loop.stopping:
        await signalled.wait()
        signalled.clear()
        while loop.draining and bodies.busy and not loop.stopping:
            await asyncio.sleep(_LOOK)
        if loop.draining:
            loop.drained()
    server.close()


if __name__ == "__main__":
    main()
