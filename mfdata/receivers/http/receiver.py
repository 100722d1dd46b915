"""HTTP receiver: files come in by PUT and POST and are acknowledged once they are safe in an incoming directory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import translate
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tornado.netutil import bind_sockets
from tornado.web import Application

from mfdata.receivers.common_receiver import ReceiverKeys, Reception, run_receiver
from mfdata.receivers.ftp.received import Memories, Memory
from mfdata.receivers.http.access import Gate
from mfdata.receivers.http.handler import HttpUpload
from mfdata.receivers.http.server import Server, Visitor
from mfext.log import get_logger
from mfext.mainloop import Mainloop
from mfext.option import option

if TYPE_CHECKING:
    from socket import socket

log = get_logger(__name__)

#: Bytes that are read at once, and that a connection may hold: what bounds memory.
_CHUNK, _BUFFER = 256 * 1024, 1024 * 1024
_DISK_THREADS = 8
#: Some clients (rclone 1.60) close their connection after an upload, and ask for the file over the next one.
_GRACE_S = 3.0
#: What tornado itself would refuse with less to say: we count ourselves.
_ANY_SIZE = 1 << 62

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, repr=False)
class HttpReceiverKeys(ReceiverKeys):
    """Where the receiver listens, who may upload, and how much. With a certificate it speaks HTTPS only."""

    port: int = option(8021, minimum=0, maximum=65535, help="The port that it listens on; 0 = any that is free.")
    names: tuple[str, ...] = option(
        ("*",), help="Names that files may have, as shell patterns separated by ':'.", example="*.grib2:T_*.bin"
    )
    max_files: int = option(100, minimum=1, help="Files that one form may bring.")
    max_per_minute: int = option(0, minimum=0, help="Requests that each user may send in a minute; 0 = any number.")
    max_rate: int = option(
        0, unit="bytes", minimum=0, help="Bytes that are taken from each client in a second; 0 = as fast as it comes."
    )


class HttpReceiver:
    """What all requests share."""

    def __init__(self, reception: Reception, keys: HttpReceiverKeys) -> None:
        self.reception = reception
        self.keys = keys
        self.gate = Gate(reception.users, keys.max_per_minute)
        #: No new file is taken.
        self.is_leaving = False
        self._names = re.compile("|".join(map(translate, keys.names)))
        self._memories = Memories(_GRACE_S)
        self._active: set[HttpUpload] = set()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._changed = asyncio.Event()
        self._disk = ThreadPoolExecutor(_DISK_THREADS, "disk")

    def may_be_called(self, name: str) -> bool:
        """Whether the administrator lets files of this name in."""
        return self._names.match(name) is not None

    async def on_disk(self, work: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """What *work* gives, which may have to wait for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    def begun(self, upload: HttpUpload) -> None:
        """A request is in hand."""
        self._active.add(upload)

    def ended(self, upload: HttpUpload) -> None:
        """It is answered, or its client is gone."""
        self._active.discard(upload)
        self._changed.set()

    def memory(self, connection: Any, user: str) -> Memory:
        """What the client of *connection* has sent a moment ago."""
        visitor: Visitor = connection.visitor
        key = (user, visitor.address)
        if visitor.memory_of != key:
            visitor.forget()
            memory = self._memories.join(*key)
            visitor.memory_of, visitor.memory = key, memory
            visitor.forget = partial(self._memories.leave, memory)
        return visitor.memory

    def keep(self, task: asyncio.Future[Any]) -> None:
        """Hold on to *task* until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, mainloop: Mainloop) -> None:
        """Serve until asked to stop; a file that is coming in then is waited for."""
        server, sockets = self._listening()
        host, port = sockets[0].getsockname()[:2]
        signalled = mainloop.signal_event()
        mainloop.ready(host=str(host), port=str(port))
        await signalled.wait()
        self.is_leaving = True
        server.stop()
        while self._active:
            self._changed.clear()
            await self._changed.wait()
        if mainloop.draining:
            mainloop.drained()
        while not mainloop.stopping:
            signalled.clear()
            if not mainloop.stopping:
                await signalled.wait()
        await server.close_all_connections()
        self.gate.close()
        self._disk.shutdown()

    def _listening(self) -> tuple[Server, list[socket]]:
        keys = self.keys
        server = Server(
            Application([(r".*", HttpUpload, {"receiver": self})], log_function=lambda _handler: None),
            ssl_options=self.reception.context(wanted=bool(keys.certificate)),
            max_body_size=_ANY_SIZE,
            max_buffer_size=_BUFFER,
            chunk_size=_CHUNK,
            idle_connection_timeout=keys.timeout,
        )
        server.most, server.most_per_address = keys.max_connections, keys.max_connections_per_address
        server.login_timeout = keys.login_timeout
        try:
            sockets = bind_sockets(keys.port, keys.host)
        except OSError as error:
            raise self.reception.cannot_listen(error) from error
        server.add_sockets(sockets)
        return server, sockets


def serve(reception: Reception, keys: HttpReceiverKeys, mainloop: Mainloop) -> None:
    """Be the receiver until asked to stop."""

    async def run() -> None:
        await HttpReceiver(reception, keys).run(mainloop)

    mainloop.run(run())


if __name__ == "__main__":
    run_receiver(HttpReceiverKeys, serve)
