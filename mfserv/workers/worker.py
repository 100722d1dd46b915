"""Runner: the process of one worker: ``python -m mfserv.workers.worker SPEC [SOCKET]``.

It takes the socket of its slot, runs the app on it, says that it is ready, and leaves when told to: first the router
sends nothing more, then what is in hand is finished, then it ends. For a test it inherits the socket with this number
instead.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from mfext import log
from mfext.daemon import Daemon, run_daemon
from mfext.environment import Home
from mfext.mainloop import Mainloop
from mfserv.worker_spec import Spec
from mfserv.workers.health import healthy
from mfserv.workers.registration import Registration
from mfserv.workers.request_context import adopt_standard_logging
from mfserv.workers.socket_holder import SocketLease, inherit_socket, lease_socket

#: Seconds without a request in hand after which, when none is sent any more, none is under way.
_QUIET = 0.1
_LOOK = 0.02
#: Part of the time to leave in which the router must have let go.
_LEAVE = 0.8
#: Seconds beyond the time to leave after which a worker that has not ended is killed.
_OVERTIME = 2.0

_log = log.get_logger(__name__)


class Server(Protocol):
    """Something that answers HTTP on a listening socket."""

    @property
    def busy(self) -> int:
        """Requests in hand."""

    @property
    def standing(self) -> int:
        """Connections that are no requests any more: WebSockets. Nobody waits for their end."""

    async def start(self) -> None:
        """Answer from now on."""

    def stop_accepting(self) -> None:
        """Take no new connection, and go on with those that are there."""

    async def end(self) -> None:
        """Close what is left."""

    @property
    def is_alive(self) -> bool:
        """Whether it can go on."""


def main() -> None:
    """Run the worker that the first argument describes."""
    spec = Spec.from_text(sys.argv[1])
    inherited = int(sys.argv[2]) if len(sys.argv) > 2 else None
    run_daemon(
        lambda daemon: serve(daemon, spec, inherited),
        process=spec.app,
        debug=spec.debug,
        adopt_logging=adopt_standard_logging,
    )


def serve(daemon: Daemon, spec: Spec, inherited: int | None) -> int:
    """Be the worker of *spec*, on the socket with the number *inherited* if there is one; the exit status."""
    home = daemon.home
    sys.path.insert(0, "")  # the working folder, wherever it is moved to: what is imported later is of one version
    with Mainloop(home) as loop:
        lease = (
            inherit_socket(home, spec.socket, inherited)
            if inherited
            else lease_socket(home, spec.socket, lambda: loop.stopping)
        )
        return 0 if loop.run(Worker(spec, home, loop, lease).run()) else 1


class Worker:
    """One worker, from its start to its end."""

    def __init__(self, spec: Spec, home: Home, loop: Mainloop, lease: SocketLease) -> None:
        self.spec = spec
        self.loop = loop
        self.lease = lease
        self.registration = Registration(home, spec.app, spec.slot)
        self.server = server_of(spec, lease, loop.turns, loop.occupied)
        self._woken = asyncio.Event()
        #: It is to be replaced: it leaves as if it were too old.
        self._renewed = False
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "_renewed", True))

    async def run(self) -> bool:
        """Serve until told to leave; whether it ended as it should."""
        events = asyncio.get_running_loop()
        events.add_reader(self.loop.wakeup_fd, self._wake)
        events.add_reader(self.lease.connection, self._lost_holder)
        await self.server.start()
        if not await self._becomes_healthy():
            return False
        version = self.spec.values.get("VERSION", "")
        self.loop.ready(app=self.spec.app, slot=str(self.spec.slot), version=version)
        self.lease.is_well()
        self.registration.join()
        await self._serve()
        if not self.server.is_alive:
            return False
        await self._leave()
        while self.loop.draining and not self.loop.stopping:
            await self._woken.wait()
            self._woken.clear()
        return True

    async def _becomes_healthy(self) -> bool:
        if not self.spec.health:
            return True
        while not self.loop.stopping and self.server.is_alive:
            if await healthy(self.lease.home, self.spec.socket, self.spec.health):
                return True
            await asyncio.sleep(0.2)
        return False

    async def _serve(self) -> None:
        born = time.monotonic()
        while not (self.loop.stopping or self.loop.draining) and self.server.is_alive:
            left = born + self.spec.max_age - time.monotonic() if self.spec.max_age else None
            if self._renewed or (left is not None and left <= 0):
                return
            try:
                # Every second: whether the server still lives. It costs nothing that could be measured.
                await asyncio.wait_for(self._woken.wait(), min(left or 1.0, 1.0))
            except TimeoutError:
                continue
            self._woken.clear()

    async def _leave(self) -> None:
        """Finish what is in hand."""
        self.lease.is_well()
        if not self.loop.draining:  # else the arbiter looks after it
            self._end_for_sure()
        deadline = time.monotonic() + self.spec.graceful_timeout * _LEAVE
        if not self.loop.stopping:
            await self.registration.leave(self.spec.graceful_timeout * _LEAVE, lambda: self.server.standing)
        self.server.stop_accepting()
        quiet_since = time.monotonic()
        while time.monotonic() < deadline:
            if self.server.busy:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _QUIET:
                break
            await asyncio.sleep(_LOOK)
        await self.server.end()
        if self.loop.draining:
            self.loop.drained()

    def _end_for_sure(self) -> None:
        """Be killed when all of this has taken too long: nobody else looks at a worker that leaves by itself.

        The shutdown of an app may wait for ever, and so may a thread of its, which the interpreter waits for.
        """

        def end() -> None:
            _log.warning("the worker has not left in time and ends by force", app=self.spec.app)
            os.kill(os.getpid(), signal.SIGKILL)

        last = threading.Timer(self.spec.graceful_timeout + _OVERTIME, end)
        last.daemon = True
        last.start()

    def _wake(self) -> None:
        self.loop.clear_wakeup()
        self._woken.set()

    def _lost_holder(self) -> None:
        """The holder of the sockets has ended: the next one gets this worker's."""
        events = asyncio.get_running_loop()
        events.remove_reader(self.lease.connection)
        if self.loop.stopping or self.loop.draining:
            return
        if self.lease.renew():
            events.add_reader(self.lease.connection, self._lost_holder)
        else:
            events.call_later(_LOOK, self._lost_holder)


def server_of(spec: Spec, lease: SocketLease, progress: Callable[[], None], occupied: Callable[[bool], None]) -> Server:
    """What serves the app of *spec*; its code is imported here. It calls *progress* for each request that it takes.

    Where code blocks the loop, many requests may be answered in one turn of it. Where threads work, it says by
    *occupied* whether all of them do.
    """
    if spec.kind == "command":
        from mfserv.workers.servers.command import CommandServer

        own_socket = lease.home.run / f"{spec.socket}.own"
        return CommandServer(spec.target, lease.listening, spec.graceful_timeout, own_socket, spec.values)
    from mfserv.workers.servers.tornado import TornadoServer

    if spec.kind == "static":
        from mfserv.workers.servers.static import static_files

        return TornadoServer(static_files(spec.target), lease.listening, spec.max_body, progress)
    from mfserv.workers.servers.app_loader import load_app

    app, kind = load_app(spec.target, spec.kind)
    if kind == "tornado":
        return TornadoServer(app, lease.listening, spec.max_body, progress)
    from mfserv.workers.servers.asgi import AsgiServer
    from mfserv.workers.servers.wsgi import WsgiApp

    if kind == "wsgi":
        bridge = WsgiApp(app, spec.concurrency, occupied)
        return AsgiServer(bridge, lease.listening, spec.graceful_timeout, lifespan=False)
    return AsgiServer(app, lease.listening, spec.graceful_timeout, progress=progress)


if __name__ == "__main__":
    main()
