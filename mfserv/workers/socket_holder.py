"""Sockets: a tiny process that holds the listening socket of every worker slot, so that none is ever gone.

``python -m mfserv.workers.socket_holder``. A worker that starts asks for the socket of its slot and listens on it from
then on; when it leaves, or dies, requests wait in the kernel's queue until the next one comes. The worker's connection
stays open: when it ends, the worker has. And when the holder itself dies, each worker gives its socket back to the next
holder. A slot that stays without a worker is taken out of the router, and who comes nevertheless is told 503.
"""

from __future__ import annotations

import array
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mfext import log
from mfext.daemon import Daemon, run_daemon
from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.mainloop import Mainloop
from mfext.net.problem import raw_answer
from mfext.net.unix import connect_to, listen_at
from mfserv.app import SOCKETS
from mfserv.router.admin_socket import RouterLink

#: Where the holder listens, in the home's folder of run-time state.
CONTROL = "sockets.sock"
#: Connections that wait for a worker.
#: Seconds for which requests wait for the next worker of a slot.
BRIDGE = 10.0
#: A worker that lived no longer than so many seconds and was never ready failed; after so many of them nobody waits for
#: the next one.
_SHORT_LIFE, _FAILURES = 5.0, 3
#: Seconds between two looks at slots without a worker, as long as there are some.
_LOOK = 2.0
_LONGEST_MESSAGE = 1_000_000
_ABSENT = raw_answer(503, "the service has no worker now", {"Retry-After": "10"})

_log = log.get_logger(__name__)


class Slot:
    """A listening socket and who has it."""

    def __init__(self, path: str, listening: socket.socket) -> None:
        self.path = path
        self.listening = listening
        #: The connection of its worker.
        self.worker: socket.socket | None = None
        #: Since when there is none.
        self.absent_since = time.monotonic()
        self.taken = 0.0
        #: Workers in a row that left as soon as they came, and were never ready.
        self.failures = 0
        #: ``backend/server`` in the router.
        self.server = ""

    def take(self, worker: socket.socket) -> None:
        """Note that there is a worker."""
        self.worker, self.taken = worker, time.monotonic()

    def excuse(self) -> None:
        """Note that the worker is as it should be, however short its life: it is ready, or told to leave."""
        self.taken, self.failures = 0.0, 0

    def leave(self) -> None:
        """Note that there is none any more."""
        self.worker, self.absent_since = None, time.monotonic()
        self.failures = self.failures + 1 if self.absent_since - self.taken < _SHORT_LIFE else 0

    def is_abandoned(self, now: float) -> bool:
        """Whether nobody should wait for a worker any more."""
        return self.worker is None and (now - self.absent_since > BRIDGE or self.failures >= _FAILURES)


class SocketHolder:
    """All slots. Paths are relative to its working folder, since those of sockets must be short."""

    def __init__(self, router: RouterLink) -> None:
        self.router = router
        self.slots: dict[str, Slot] = {}
        self.wanted: set[str] = set()
        self.control = listen_at(CONTROL, socket.SOCK_SEQPACKET)
        self.peers: dict[int, socket.socket] = {}

    def run(self, loop: Mainloop) -> None:
        """Serve until told to stop."""
        while not loop.stopping:
            if loop.draining:
                loop.drained()  # the workers have their sockets
            now = time.monotonic()
            abandoned = [slot for slot in self.slots.values() if slot.is_abandoned(now)]
            bridging = [slot for slot in self.slots.values() if slot.worker is None]
            answering = {slot.listening.fileno(): slot for slot in abandoned}
            ready = loop.wait(self.control.fileno(), *self.peers, *answering, timeout=_LOOK if bridging else None)
            if self.control.fileno() in ready:
                peer = self.control.accept()[0]
                self.peers[peer.fileno()] = peer
            for fd in ready & self.peers.keys():
                self._serve(self.peers[fd])
            for fd in ready & answering.keys():
                refuse(answering[fd].listening)
            for slot in abandoned:
                self.router.try_to(f"set server {slot.server} state maint")

    def _serve(self, peer: socket.socket) -> None:
        """Do what *peer* asks for, or note that it has gone."""
        message: bytes = b""
        files: list[int] = []
        with suppress(OSError):
            message, files = _receive(peer)
        if not message:
            self._gone(peer)
            return
        request = json.loads(message)
        if "want" in request:
            self._want(request["want"])
            _send(peer, {"ok": True})
        elif "well" in request:
            self._slot(request["well"]).excuse()
        else:
            self._take(peer, request["take"], files)

    def _want(self, wanted: dict[str, str]) -> None:
        """Hold the sockets *wanted*, by path with their servers, and no others once their workers have left."""
        self.wanted = set(wanted)
        for path, server in wanted.items():
            self._slot(path).server = server
        for path in [path for path, slot in self.slots.items() if path not in wanted and slot.worker is None]:
            self._drop(path)

    def _slot(self, path: str) -> Slot:
        if path not in self.slots:
            self.slots[path] = Slot(path, listen_at(path))
        return self.slots[path]

    def _take(self, peer: socket.socket, path: str, files: Sequence[int]) -> None:
        """Give *peer* the socket of a slot; from one that has it already, take it if it is not known here."""
        if files and path not in self.slots:
            self.slots[path] = Slot(path, socket.socket(fileno=files[0]))
            files = files[1:]
        for file in files:
            os.close(file)
        slot = self._slot(path)
        slot.take(peer)
        _send(peer, {"ok": True}, [slot.listening.fileno()])

    def _gone(self, peer: socket.socket) -> None:
        self.peers.pop(peer.fileno(), None)
        for path, slot in list(self.slots.items()):
            if slot.worker is peer:
                slot.leave()
                if self.wanted and path not in self.wanted:
                    self._drop(path)
        peer.close()

    def _drop(self, path: str) -> None:
        self.slots.pop(path).listening.close()
        Path(path).unlink(missing_ok=True)


def refuse(listening: socket.socket) -> None:
    """Answer a request that has nobody to serve it."""
    listening.setblocking(False)  # a program that had it may have changed that, for all who have it
    with suppress(OSError):
        connection = listening.accept()[0]
        with connection:
            connection.settimeout(0.05)
            with suppress(TimeoutError):  # what is not read would turn the answer into a reset
                connection.recv(65536)
            connection.sendall(_ABSENT)
            connection.shutdown(socket.SHUT_WR)


class SocketLease:
    """A worker's hold on its slot: the listening socket, and the connection that says that the worker lives."""

    def __init__(self, home: Home, path: str, connection: socket.socket, listening: socket.socket) -> None:
        self.home = home
        self.path = path
        self.connection = connection
        self.listening = listening

    def renew(self) -> bool:
        """Give the socket to a new holder; False while there is none."""
        try:
            connection, given = _taken(self.home, self.path, self.listening)
        except (OSError, IndexError):
            return False
        given.close()  # it is the same one
        self.connection.close()
        self.connection = connection
        return True

    def is_well(self) -> None:
        """Tell the holder that the worker is as it should be: it is ready, or told to leave."""
        with suppress(OSError):
            _send(self.connection, {"well": self.path})


def require_sockets(home: Home, slots: dict[str, str]) -> bool:
    """Let the holder hold these sockets and no others; False when it does not run."""
    try:
        with connect(home) as connection:
            _send(connection, {"want": slots})
            return bool(_receive(connection)[0])
    except OSError:
        return False


def lease_socket(home: Home, path: str, is_stopping: Callable[[], bool], timeout: float = 20.0) -> SocketLease:
    """The lease at the socket *path*; the holder may just be starting, too.

    Raises:
        ServiceUnavailable: there is no holder.
    """
    deadline = time.monotonic() + timeout
    while not is_stopping():
        try:
            return SocketLease(home, path, *_taken(home, path))
        except (OSError, IndexError) as error:
            if time.monotonic() > deadline:
                raise ServiceUnavailable(f"the holder of the sockets does not answer: {error}") from None
            time.sleep(0.02)
    raise SystemExit(0)


def inherit_socket(home: Home, path: str, inherited: int) -> SocketLease:
    """A lease that nobody else holds, on a socket that this process inherited."""
    never_ends = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening = socket.socket(fileno=inherited)
    listening.setblocking(False)
    return SocketLease(home, path, never_ends, listening)


def _taken(home: Home, path: str, held: socket.socket | None = None) -> tuple[socket.socket, socket.socket]:
    """A connection to the holder, and the listening socket that it gave; *held* is for a holder that has it not."""
    connection = connect(home)
    _send(connection, {"take": path}, [held.fileno()] if held else [])
    given = socket.socket(fileno=_receive(connection)[1][0])
    given.setblocking(False)
    connection.setblocking(False)
    return connection, given


def connect(home: Home) -> socket.socket:
    """A connection to the holder."""
    return connect_to(home.run / CONTROL, socket.SOCK_SEQPACKET, timeout=5)


def _send(peer: socket.socket, message: object, files: Iterable[int] = ()) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    with suppress(BrokenPipeError, ConnectionResetError):
        peer.sendmsg([json.dumps(message).encode()], ancillary)


def _receive(peer: socket.socket) -> tuple[bytes, list[int]]:
    message, ancillary, _, _ = peer.recvmsg(_LONGEST_MESSAGE, socket.CMSG_SPACE(4 * 4))
    files = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    return message, list(files)


def serve(daemon: Daemon) -> None:
    """Hold sockets until told to stop."""
    os.chdir(daemon.home.run)
    Path(SOCKETS).mkdir(mode=0o700, exist_ok=True)
    with Mainloop(daemon.home) as loop:
        holder = SocketHolder(RouterLink(daemon.home))
        loop.ready()
        holder.run(loop)


def main() -> None:
    """Run as the supervised process ``sockets``."""
    run_daemon(serve, process="sockets")


if __name__ == "__main__":
    main()
