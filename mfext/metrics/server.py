"""Server: answers ``/metrics`` of a module, on a socket that it is given or on a port.

``python -m mfext.metrics.server DESCRIPTOR`` serves the listening socket with this number until nobody has asked for a
while: the arbiter starts it for a request, so that nothing runs while nobody looks. Without an argument it is the
supervised process ``metrics``, which listens as ``[metrics]`` says.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from mfext import log as logs
from mfext.daemon import Daemon, run_daemon
from mfext.errors import ServiceUnavailable
from mfext.mainloop import Mainloop
from mfext.metrics.collect import ModuleMetrics
from mfext.metrics.config import Metrics
from mfext.metrics.exposition import expose

PROCESS = "metrics"
#: Seconds without a request after which a server that was started for one ends.
_IDLE = 60.0
#: Seconds after which a connection on which nothing comes is closed.
_PATIENCE = 90.0
_MAX_REQUEST = 1 << 16


class MetricsHandler(RequestHandler):
    """``/metrics``."""

    def initialize(self, metrics: ModuleMetrics) -> None:
        """Args: what is shown."""
        self.metrics = metrics

    async def get(self, *_path: str) -> None:
        """Answer with the metrics, in the format that the client takes."""
        samples = await asyncio.get_running_loop().run_in_executor(None, self.metrics.samples)
        body, media_type = expose(self.metrics.metrics, samples, self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", media_type)
        self.set_header("Cache-Control", "no-store")
        self.finish(body)

    head = get


class PageHandler(RequestHandler):
    """``/metrics/NAME``: what a program of others shows."""

    def initialize(self, metrics: ModuleMetrics) -> None:
        """Args: whose pages are shown."""
        self.metrics = metrics

    async def get(self, name: str) -> None:
        """Answer with the page."""
        page = self.metrics.module.metric_pages[name]
        try:
            text = await asyncio.get_running_loop().run_in_executor(
                None, page, self.metrics.home, self.request.query or ""
            )
        except ServiceUnavailable as error:
            self.set_status(503)
            text = f"{error.message}\n"
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(text)

    head = get


class MetricsServer:
    """The server of one home."""

    def __init__(self, metrics: ModuleMetrics) -> None:
        self._asked = asyncio.Event()
        shown = {"metrics": metrics}
        names = "|".join(metrics.module.metric_pages)
        pages = [(rf"(?:/__metrics|/metrics)/({names})", PageHandler, shown)] if names else []
        handlers = [(r"(/__metrics|/metrics)(/jobs)?", MetricsHandler, shown), *pages]
        self._server = HTTPServer(
            Application(handlers, log_function=lambda _handler: self._asked.set()),
            max_body_size=_MAX_REQUEST,
            max_header_size=_MAX_REQUEST,
            idle_connection_timeout=_PATIENCE,
        )

    def listen(self, *sockets: socket.socket) -> None:
        """Answer on *sockets* from now on."""
        self._server.add_sockets(sockets)

    async def wait_until_idle(self) -> None:
        """Return when nobody has asked for a while."""
        with suppress(TimeoutError):
            while True:
                self._asked.clear()
                async with asyncio.timeout(_IDLE):
                    await self._asked.wait()

    async def close(self) -> None:
        """Answer no more."""
        self._server.stop()
        await self._server.close_all_connections()


async def serve_until_idle(daemon: Daemon, descriptor: int, loop: Mainloop) -> None:
    """Answer on the listening socket *descriptor* until told to stop, or nobody asks any more."""
    listening = socket.socket(fileno=descriptor)
    listening.setblocking(False)
    server = MetricsServer(ModuleMetrics(daemon.module, daemon.home))
    server.listen(listening)
    stopped = asyncio.create_task(loop.signal_event().wait())
    idle = asyncio.create_task(server.wait_until_idle())
    await asyncio.wait({stopped, idle}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    idle.cancel()
    await server.close()


async def serve_port(daemon: Daemon, loop: Mainloop) -> None:
    """Answer on the port of ``[metrics]`` until told to stop.

    Raises:
        ServiceUnavailable: nobody can listen there.
    """
    settings = daemon.config.section("metrics", Metrics)
    server = MetricsServer(ModuleMetrics(daemon.module, daemon.home))
    try:
        server.listen(*bind_sockets(settings.port, settings.host))
    except OSError as error:
        raise ServiceUnavailable(
            f"nothing can listen on {settings.host}:{settings.port}: {error.strerror or error}",
            where="[metrics] port",
            mend="Choose another port in config/config.ini.",
        ) from error
    signalled = loop.signal_event()
    loop.ready(host=settings.host, port=str(settings.port))
    while not loop.stopping:
        await signalled.wait()
        signalled.clear()
        if loop.draining:
            loop.drained()
    await server.close()


def _serve(daemon: Daemon) -> None:
    if len(sys.argv) > 1:
        with Mainloop(daemon.home, "") as loop:
            loop.run(serve_until_idle(daemon, int(sys.argv[1]), loop))
    else:
        with Mainloop(daemon.home) as loop:
            loop.run(serve_port(daemon, loop))


def main() -> None:
    """Run as a server for one request after another, or as the supervised process ``metrics``."""
    run_daemon(_serve, process=PROCESS, adopt_logging=lambda _level: logs.adopt_standard_logging())


if __name__ == "__main__":
    main()
