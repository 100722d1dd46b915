"""TornadoServer: tornado apps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from socket import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application

from mfserv.workers.request_context import enter_request

#: The frame of WebSocket that says "service restart" (1012): the client comes again, to another worker.
_RESTART = b"\x88\x02\x03\xf4"
#: Seconds that clients get to answer it.
_FAREWELL = 1.0
#: An app that has nothing.
_NOTHING = Application(log_function=lambda _handler: None)


class TornadoServer(HTTPServer):
    """A tornado app on a listening socket."""

    def initialize(  # type: ignore[override]
        self, app: Any, listening: socket, max_body: int, progress: Callable[[], None] | None = None
    ) -> None:
        """Tornado makes its servers by this; *progress* is called for each request that is taken."""
        self.progress = progress
        buffer = max(max_body, 1_000_000) + 100_000
        super().initialize(app, xheaders=True, max_body_size=max_body, max_buffer_size=buffer)
        # The router writes the access log.
        logging.getLogger("tornado.access").setLevel(logging.WARNING)
        self.listening = listening
        #: Connections with a request in hand.
        self.in_hand: set[object] = set()
        self._detached: set[IOStream] = set()

    def __init__(self, app: Any, listening: socket, max_body: int, progress: Callable[[], None] | None = None) -> None:
        """See initialize."""

    @property
    def busy(self) -> int:
        """Requests in hand, and answers that are not out yet."""
        late = [one for one in self._connections if one.stream.writing()]
        return len(self.in_hand) + len(late)

    @property
    def standing(self) -> int:
        """WebSockets that are open."""
        self._detached = {stream for stream in self._detached if not stream.closed()}
        return len(self._detached)

    @property
    def is_alive(self) -> bool:
        """Whether it can go on."""
        return True

    async def start(self) -> None:  # type: ignore[override]
        """Answer from now on."""
        self.add_socket(self.listening.dup())

    def stop_accepting(self) -> None:
        """Take no new connection."""
        self.stop()

    async def end(self) -> None:
        """Close connections without a request, and tell WebSockets to come again."""
        for stream in list(self._detached):
            if not stream.closed():
                stream.write(_RESTART).add_done_callback(_ignore)
        waited = 0.0
        while self.standing and waited < _FAREWELL:
            await asyncio.sleep(0.02)
            waited += 0.02
        for stream in list(self._detached):
            stream.close()
        await self.close_all_connections()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Note when a request comes in, and when its answer is finished: this is called before there is one."""
        finish: Callable[[], None] = request_conn.finish
        detach: Callable[[], IOStream] = request_conn.detach  # type: ignore[attr-defined]

        def finished() -> None:
            finish()
            self.in_hand.discard(server_conn)

        def detached() -> IOStream:
            stream = detach()
            self.in_hand.discard(server_conn)
            self._detached.add(stream)
            return stream

        request_conn.finish = finished  # type: ignore[method-assign]
        request_conn.detach = detached  # type: ignore[attr-defined]
        return _Identified(
            super().start_request(server_conn, request_conn),
            began=lambda: self._began(server_conn),
            nothing=lambda: _NOTHING.start_request(server_conn, request_conn),
        )

    def _began(self, server_conn: object) -> None:
        self.in_hand.add(server_conn)
        if self.progress:
            self.progress()

    def on_close(self, server_conn: object) -> None:
        """Forget a connection."""
        self.in_hand.discard(server_conn)
        super().on_close(server_conn)


class _Identified(HTTPMessageDelegate):
    """Notes the id of the request before its app hears of it."""

    def __init__(
        self, inner: HTTPMessageDelegate, began: Callable[[], None], nothing: Callable[[], HTTPMessageDelegate]
    ) -> None:
        """*nothing* gives who answers for a path that no app can have: many would take it for a fault of their own."""
        self.began = began
        self.nothing = nothing
        self._follow(inner)

    def _follow(self, inner: HTTPMessageDelegate) -> None:
        self.inner = inner
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.finish = inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        self.began()
        enter_request(headers.get("X-Request-Id", ""))
        if "%00" in start_line.path.partition("?")[0]:
            self._follow(self.nothing())
        return self.inner.headers_received(start_line, headers)


def _ignore(writing: asyncio.Future[None]) -> None:
    """A client that has gone need not be told."""
    if not writing.cancelled():
        error = writing.exception()
        if error and not isinstance(error, StreamClosedError):
            raise error
