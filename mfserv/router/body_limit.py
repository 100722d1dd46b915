"""Bodies: the process through which bodies go that did not come with their request;
``python -m mfserv.router.body_limit``.

A body that came whole with its request goes from the router to the app. Every other one, and every one whose length is
not said, the router sends through here, and it comes back to the router for its app. Here it is counted, and broken off
when it becomes too large or stops. It takes no worker before it is whole: it is gathered, on disk where it is long.
Only as many as an app can spare for one address go on as they come, if they begin quickly.

Trailers end here: what they say was not looked at by anybody.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mfext.daemon import Daemon, run_daemon
from mfext.mainloop import Mainloop
from mfext.net.problem import raw_answer
from mfext.net.unix import listen_at
from mfserv.router.chunked import Body, Chunked, Sized
from mfserv.router.gathered import Gathered, Room
from mfserv.router.names import BODIES, SIZED, folder

PROCESS = "bodies"
_PIECE, _LONGEST_HEAD = 1 << 16, 1 << 16
#: Bytes that must come within so many seconds of a body that goes on as it comes.
_BEGINNING, _QUICK = 16_384, 1.0
#: Seconds for which what comes after a refusal is thrown away.
_LINGER = 5.0
#: Seconds between two looks at what is in hand.
_LOOK = 0.02
#: What the router says of a request whose body is to be taken: see Facts.
_FACTS = re.compile(
    rb"\r\nx-metwork-body: *(?P<most>[0-9]+) (?P<timeout>[0-9]+) (?P<passing>[0-9]+) (?P<disk>[0-9]+) "
    rb"(?P<address>[^ \r]+) (?P<app>[^ \r]+)\r\n",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """What the router says of a request whose body is to be taken."""

    #: Bytes that the body may have.
    most: int
    #: Seconds without a byte after which it is given up.
    timeout: float
    #: Bodies of one address that its app may get as they come.
    passing: int
    #: Bytes of all bodies that may lie on disk.
    disk: int
    address: bytes
    app: bytes


class Refusal(Exception):
    """The request is answered here."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title

    @property
    def answer(self) -> bytes:
        """The answer."""
        return raw_answer(self.status, self.title, {"Retry-After": "10"} if self.status in (503, 507) else {})


class Bodies:
    """Requests on their way; each has a connection of its own."""

    def __init__(self, spool: Path) -> None:
        """*spool* is a folder on the disk for long bodies."""
        #: Requests in hand.
        self.busy = 0
        self.room = Room(spool)
        #: Bodies that go on as they come, by address and app.
        self.passing: Counter[tuple[bytes, bytes]] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a request on, and its answer back."""
        self.busy += 1
        try:
            with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await Exchange(self, reader, writer).run()
        finally:
            self.busy -= 1
            writer.close()


class Exchange:
    """One request with its answer."""

    def __init__(self, bodies: Bodies, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bodies = bodies
        self.reader = reader
        self.writer = writer
        self._is_answered = self._is_passing = False

    async def run(self) -> None:
        """Pass both on until the answer is over, the client has gone, or the body is refused."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            self.facts = facts_of(head)
            length = _LENGTH.search(head)
            self.body: Body = Sized(int(length[1])) if length else Chunked()
            self.gathered = Gathered(self.bodies.room, self.facts.address)
            try:
                await self._gather()
                await self._exchange(head)
            finally:
                self.gathered.drop()
                self._passes_no_more()
        except Refusal as refusal:
            await self._refuse(refusal)

    async def _gather(self) -> None:
        """Take the body until it is whole, or may go on as it comes."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not self.body.has_ended and not self._is_passing:
            before = self.gathered.size
            passed = await self._next()
            try:
                await self.gathered.add(passed)
            except OSError:
                raise Refusal(507, "there is no room to keep the body") from None
            if before < _BEGINNING <= self.gathered.size:
                is_quick = loop.time() - begun < _QUICK
                self._is_passing = is_quick and self.bodies.passing[self._sender] < self.facts.passing
            if not self.bodies.room.is_there(self.facts.address, self.facts.disk) and not self._is_passing:
                self._is_passing = self.bodies.passing[self._sender] < max(1, self.facts.passing)
                if not self._is_passing:
                    raise Refusal(503, "too many bodies of this address are on their way")
        if self._is_passing:
            self.bodies.passing[self._sender] += 1

    @property
    def _sender(self) -> tuple[bytes, bytes]:
        return self.facts.address, self.facts.app

    async def _exchange(self, head: bytes) -> None:
        answers, app = await asyncio.open_unix_connection(SIZED, limit=_PIECE)
        tasks = [asyncio.create_task(self._ask(head, app)), asyncio.create_task(self._answer(answers))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Refusal:
            app.transport.abort()
            if not self._is_answered:
                raise
        finally:
            for task in tasks:
                task.cancel()
            app.transport.abort()  # an app must not take what has come of the body for the whole

    async def _ask(self, head: bytes, app: asyncio.StreamWriter) -> None:
        """Pass the request on; ends with the connection of who asks."""
        app.write(head)
        self.gathered.rewind()
        while piece := await self.gathered.next():
            await _send(piece, app)
        self.gathered.drop()
        while not self.body.has_ended:
            await _send(await self._next(), app)
        self._passes_no_more()
        while await self.reader.read(_PIECE):  # what comes behind a body goes nowhere
            pass

    async def _next(self) -> bytes:
        """What comes next of the body.

        Raises:
            Refusal: it stops, or becomes too large.
            OSError: who sends it has gone.
        """
        try:
            async with asyncio.timeout(self.facts.timeout):
                piece = await self.reader.read(_PIECE)
        except TimeoutError:
            raise Refusal(408, "the request did not come in time") from None
        if not piece:
            raise ConnectionError
        passed = self.body.pass_on(piece)
        if self.body.size > self.facts.most:
            raise Refusal(413, "the body is too large")
        return passed

    def _passes_no_more(self) -> None:
        if self._is_passing:
            self._is_passing = False
            self.bodies.passing[self._sender] -= 1
            if not self.bodies.passing[self._sender]:
                del self.bodies.passing[self._sender]

    async def _refuse(self, refusal: Refusal) -> None:
        """Say why, and take what still comes for a while: who is cut off while sending may not read the answer."""
        self._is_answered = True
        self.writer.write(refusal.answer)
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


def facts_of(head: bytes) -> Facts:
    """What the router says in the *head* of a request.

    Raises:
        Refusal: it says no more than that the body is too large.
    """
    found = _FACTS.search(head)
    if found is None:
        raise Refusal(413, "the body is too large")
    most, timeout, passing, disk = (int(found[name]) for name in ("most", "timeout", "passing", "disk"))
    return Facts(most, timeout / 1000, passing, disk, found["address"], found["app"])


async def _send(piece: bytes, app: asyncio.StreamWriter) -> None:
    if piece and not app.is_closing():
        with suppress(OSError):  # an app may answer and hang up without the rest: its answer is waited for
            app.write(piece)
            await app.drain()


def main() -> None:
    """Run as the supervised process ``bodies``."""
    run_daemon(_run, process=PROCESS)


def _run(daemon: Daemon) -> None:
    folder(daemon.home).mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(daemon.home.run)  # paths of sockets must be short
    with Mainloop(daemon.home) as loop:
        loop.run(serve(loop, folder(daemon.home)))


async def serve(loop: Mainloop, spool: Path) -> None:
    """Serve until told to stop; told to drain, go on until nothing is in hand. Long bodies lie in *spool*."""
    bodies = Bodies(spool)
    server = await asyncio.start_unix_server(bodies.serve, sock=listen_at(BODIES), limit=_LONGEST_HEAD)
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
