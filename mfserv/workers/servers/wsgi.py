"""WSGI apps as ASGI ones: a thread for each request, bodies piece by piece both ways."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from urllib.parse import unquote_to_bytes

from mfserv.workers.servers.gone import ClientGone, has_left

Message = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
Headers = list[tuple[str, str]]


class WsgiApp:
    """A WSGI *app* that serves so many requests at the same time.

    *occupied* is called with True when the code of the app has come to hold all threads, once more at each step that it
    takes then, and with False when it has let go of one. A thread that waits for a client is not held.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], threads: int, occupied: Callable[[bool], None]) -> None:
        self.app = app
        self.threads = threads
        self._held = _HeldThreads(threads, occupied)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = _Exchange(asyncio.get_running_loop(), self._held, receive, send, _has_body(scope))
        facts = environ(scope, exchange, self.threads)
        call = copy_context().run  # the id of the request is known in the thread, too
        await exchange.loop.run_in_executor(self._pool, call, self._answer, exchange, facts)

    def _answer(self, exchange: _Exchange, facts: dict[str, Any]) -> None:
        self._held.take()
        try:
            exchange.answer(self.app, facts)
        finally:
            self._held.let_go()


def environ(scope: Message, exchange: _Exchange, threads: int) -> dict[str, Any]:
    """What the app is told of a request (PEP 3333)."""
    prefix = scope.get("root_path", "")
    path = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    client, (server, port) = scope.get("client") or ("", 0), scope["server"]
    facts: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path.removeprefix(prefix),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": f"[{server}]" if ":" in server else server,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BufferedReader(_Body(exchange)),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": threads > 1,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        # Of X-Client and X_Client, one key would be made: the second is a client's way to say what the router says.
        if b"_" not in name:
            _add_header(facts, name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1"))
    return facts


def _add_header(facts: dict[str, Any], name: str, value: str) -> None:
    key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
    between = "; " if name == "COOKIE" else ","
    facts[key] = f"{facts[key]}{between}{value}" if key in facts else value


def _has_body(scope: Message) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


class _HeldThreads:
    """How many threads the code of the app holds."""

    def __init__(self, threads: int, occupied: Callable[[bool], None]) -> None:
        self._threads = threads
        self._occupied = occupied
        self._held = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """The app holds one more."""
        with self._lock:
            self._held += 1
            if self._held == self._threads:
                self._occupied(True)

    def let_go(self) -> None:
        """The app holds one less."""
        with self._lock:
            if self._held == self._threads:
                self._occupied(False)
            self._held -= 1

    def step(self) -> None:
        """The app goes on, and holds what it has."""
        with self._lock:
            if self._held == self._threads:
                self._occupied(True)


class _Exchange:
    """One request and its answer, as seen from the thread that works for it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, held: _HeldThreads, receive: Receive, send: Send, more_body: bool
    ) -> None:
        self.loop = loop
        self.held = held
        self.receive = receive
        self.send = send
        self.more_body = more_body
        self._start: Message | None = None
        self._started = False
        self._hanging_up: asyncio.Task[None] | None = None

    def answer(self, app: Callable[..., Iterable[bytes]], facts: dict[str, Any]) -> None:
        """Call *app*, and send what it gives as it comes."""
        pieces = app(facts, self.start_response)
        try:
            if isinstance(pieces, list | tuple) and len(pieces) == 1:
                if pieces[0] or facts["REQUEST_METHOD"] != "HEAD":  # of the body of GET, nothing was said
                    self._say_length(len(pieces[0]))
                self._write(pieces[0], more=False)
                return
            for piece in pieces:
                if piece:
                    self._write(piece, more=True)
                elif has_left(self.send):  # it waits for something, and says so by pieces without a byte
                    raise ClientGone
                else:
                    self.held.step()
            self._write(b"", more=False)
        except ClientGone:
            pass
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()
            if self._hanging_up:
                self.loop.call_soon_threadsafe(self._hanging_up.cancel)

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """What PEP 3333 asks for."""
        if exc_info and self._started:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._start and not exc_info:
            raise AssertionError("start_response is called twice")
        named = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._start = {"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": named}
        return lambda piece: self._write(piece, more=True)

    def read(self) -> bytes:
        """The next piece of the body; b'' after the last."""
        while self.more_body:
            message = self._wait(self.receive())
            if message["type"] == "http.disconnect":
                raise ClientGone
            self.more_body = message.get("more_body", False)
            if piece := message.get("body", b""):
                return bytes(piece)
        return b""

    def _say_length(self, length: int) -> None:
        if self._start and all(name != b"content-length" for name, _ in self._start["headers"]):
            self._start["headers"].append((b"content-length", b"%d" % length))

    def _write(self, piece: bytes, more: bool) -> None:
        if self._start is None:
            raise AssertionError("the app answered without start_response")
        self._wait(self._send(piece, more))

    async def _send(self, piece: bytes, more: bool) -> None:
        """Send in the loop; comes back when the client has taken enough, so that no more than a little is held."""
        if self._hanging_up and self._hanging_up.done():
            raise ClientGone
        if not self._started and self._start:
            self._started = True
            await self.send(self._start)
        await self.send({"type": "http.response.body", "body": piece, "more_body": more})
        if more and not self.more_body and not self._hanging_up:
            self._hanging_up = asyncio.create_task(self._hears_hang_up())

    async def _hears_hang_up(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def _wait(self, act: Coroutine[Any, Any, Any]) -> Any:
        self.held.let_go()
        try:
            return asyncio.run_coroutine_threadsafe(act, self.loop).result()
        finally:
            self.held.take()


class _Body(io.RawIOBase):
    """The body of a request as a file."""

    def __init__(self, exchange: _Exchange) -> None:
        self.exchange = exchange
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill *target* with what there is next."""
        if not self._rest:
            self._rest = memoryview(self.exchange.read())
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
