"""AsgiServer: ASGI apps, by uvicorn, WebSockets included."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mfext import log
from mfext.errors import PluginError
from mfserv.workers.request_context import enter_request
from mfserv.workers.servers.gone import Exchange, comes_of_leaving

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = log.get_logger(__name__)

_LAST_PORT = 65535
#: What ``Host`` says: an IPv6 address or another name, and perhaps a port.
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\s]+))(?::([0-9]{0,5}))?")


class AsgiServer:
    """An ASGI app on a listening socket."""

    def __init__(
        self,
        app: Any,
        listening: socket,
        graceful_timeout: float = 30.0,
        *,
        lifespan: bool = True,
        progress: Callable[[], None] | None = None,
    ) -> None:
        """*progress* is called for each request that is taken."""
        self.app = app
        self.progress = progress
        self.listening = listening
        #: Requests in hand, and WebSockets that are open.
        self.busy = self.standing = 0
        #: What the app says of a startup or shutdown that failed.
        self._failure = ""
        config = uvicorn.Config(
            self._call,
            interface="asgi3",
            log_level="warning",
            forwarded_allow_ips="*",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            http=_Http,
            lifespan="auto" if lifespan else "off",
            timeout_keep_alive=3600,
            # An answer without an end is cut, so that the app is shut down in order nevertheless.
            timeout_graceful_shutdown=max(1, int(graceful_timeout / 10)),
            ws="websockets-sansio",
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it can go on."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Answer from now on.

        Raises:
            PluginError: the app ended in its startup.
        """
        # A duplicate: uvicorn closes what it listens on, and the health of the app is asked through this one.
        self._task = asyncio.create_task(self._run())
        while not self._server.started:
            if self._task.done():
                await self._task
                raise PluginError("the app ended in its startup (lifespan)")
            await asyncio.sleep(0.005)

    async def _run(self) -> None:
        try:
            await self._server.serve(sockets=[self.listening.dup()])
        except SystemExit:  # it would end the loop at once, and nobody would be told
            when = "shutdown" if self._server.started else "startup"
            said = self._failure or "see above"
            raise PluginError(f"the app failed in its {when} (lifespan): {said}") from None

    def stop_accepting(self) -> None:
        """Take no new connection.

        The servers are closed in the end only: asyncio drops a connection that was just accepted if its server is
        closed before the protocol is made, and whoever waits for its answer would hear nothing.
        """
        loop = asyncio.get_running_loop()
        for one in self._server.servers:
            for listening in one.sockets:
                loop.remove_reader(listening.fileno())

    async def end(self) -> None:
        """Close connections without a request, tell WebSockets to come again (1012), and let the app shut down."""
        self._server.should_exit = True
        if self._task:
            try:
                await self._task
            except PluginError as error:
                _log.error(error.message)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        headers = dict(scope["headers"])
        prefix = headers.get(b"x-forwarded-prefix", b"").decode()
        if prefix:
            scope["root_path"] = prefix
            scope["path"] = prefix + scope["path"]
            scope["raw_path"] = prefix.encode() + scope["raw_path"]
        scope["server"] = asked_server(headers.get(b"host", b"").decode("latin-1"), scope["scheme"])
        enter_request(headers.get(b"x-request-id", b"").decode())
        if scope["type"] == "websocket":
            self.standing += 1
            try:
                await self._exchange(scope, receive, send)
            finally:
                self.standing -= 1
            return
        self.busy += 1
        try:
            await self._exchange(scope, receive, send)
        finally:
            self.busy -= 1

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer; that its client has left is no fault of it."""
        if "\0" in scope["path"]:
            await send_nothing(scope["type"], send)
            return
        if self.progress:
            self.progress()
        exchange = Exchange(receive, send)
        scope["asgi"] = {**scope["asgi"], "spec_version": "2.4"}  # send raises OSError once the client has left
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if not (exchange.has_left and comes_of_leaving(error)):
                raise

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app hear of its start and its end, and note what it says against them."""

        async def noted(message: MutableMapping[str, Any]) -> None:
            if message["type"].endswith(".failed"):
                lines = str(message.get("message", "")).strip().splitlines()
                self._failure = lines[-1] if lines else "it does not say why"
            await send(message)

        await self.app(scope, receive, noted)


def asked_server(host: str, scheme: str) -> tuple[str, int]:
    """Name and port of the server, as the client has asked for it: the worker itself has no more than a socket."""
    usual = 443 if scheme in ("https", "wss") else 80
    match = _HOST.fullmatch(host.strip())
    if not match or int(match[3] or 0) > _LAST_PORT:
        return "localhost", usual
    return match[1] or match[2], int(match[3] or usual)


async def send_nothing(kind: str, send: Send) -> None:
    """Answer a request of a path that no app can have: many would take it for a fault of their own."""
    if kind == "websocket":
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"10")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"Not Found\n"})


class _Http(HttpToolsProtocol):
    """HTTP without trailers: uvicorn adds them to the headers, which the app has got already."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, as long as there are no more than headers."""
        if "method" not in self.scope:
            super().on_header(name, value)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signals: the worker hears them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
