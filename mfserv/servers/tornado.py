"""TornadoServer: tornado apps, WSGI apps in threads, and folders of files, by tornado."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from socket import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.web import Application, StaticFileHandler
from tornado.wsgi import WSGIContainer

from mfserv.requestid import enter


class TornadoServer(HTTPServer):
    """A tornado app, or what is called with a request, on a listening socket."""

    def initialize(self, app: Any, listening: socket, max_body: int) -> None:  # type: ignore[override]
        """Tornado makes its servers by this."""
        super().initialize(app, max_body_size=max_body, max_buffer_size=max(max_body, 1_000_000) + 100_000)
        self.listening = listening
        #: Connections with a request in hand.
        self.in_hand: set[object] = set()

    def __init__(self, app: Any, listening: socket, max_body: int) -> None:
        """See initialize."""

    @property
    def busy(self) -> int:
        """Requests in hand, and answers that are not out yet."""
        late = [one for one in self._connections if one.stream.writing()]
        return len(self.in_hand) + len(late)

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
        """Close connections without a request."""
        await self.close_all_connections()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Note that a request is in hand until its answer is finished."""
        self.in_hand.add(server_conn)
        finish: Callable[[], None] = request_conn.finish

        def finished() -> None:
            finish()
            self.in_hand.discard(server_conn)

        request_conn.finish = finished  # type: ignore[method-assign]
        return _Identified(super().start_request(server_conn, request_conn))

    def on_close(self, server_conn: object) -> None:
        """Forget a connection."""
        self.in_hand.discard(server_conn)
        super().on_close(server_conn)


class _Identified(HTTPMessageDelegate):
    """Notes the id of the request before its app hears of it."""

    def __init__(self, inner: HTTPMessageDelegate) -> None:
        self.inner = inner
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.finish = inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        enter(headers.get("X-Request-Id", ""))
        return self.inner.headers_received(start_line, headers)


class _Threads(ThreadPoolExecutor):
    """Threads in which the id of the request is known, too."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return super().submit(copy_context().run, fn, *args, **kwargs)


def wsgi_app(app: Any, concurrency: int) -> WSGIContainer:
    """What serves a WSGI *app* in so many threads."""

    def below_route(facts: dict[str, Any], start_response: Any) -> Any:
        facts["SCRIPT_NAME"] = facts.get("HTTP_X_FORWARDED_PREFIX", "")
        return app(facts, start_response)

    return WSGIContainer(below_route, executor=_Threads(concurrency, thread_name_prefix="request"))


def static_files(folder: Path) -> Application:
    """What serves the files of *folder*; ``index.html`` stands for a folder."""
    settings = {"path": str(folder.resolve()), "default_filename": "index.html"}
    return Application([(r"/(.*)", StaticFileHandler, settings)], log_function=lambda _handler: None)
