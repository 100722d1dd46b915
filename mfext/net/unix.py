"""Unix sockets, at paths of any length: an address may have 107 bytes, and homes may lie deep.

So the folder is opened, and the address names it by its number. Source: unix(7), proc(5).
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_BACKLOG = 1024
#: Bytes that the name of a file may have.
_LONGEST = 255


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """A short address of the socket at *path*, while the block lasts.

    Raises:
        OSError: there is no such folder.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen_at(path: str | Path, kind: int = socket.SOCK_STREAM, *, mode: int = 0o600) -> socket.socket:
    """A socket without blocking that listens at *path* from one instant to the next, whatever was there.

    Args:
        path: in a folder that is there.
        kind: SOCK_STREAM or SOCK_SEQPACKET.
        mode: who may connect.

    Raises:
        OSError: nothing can listen there.
    """
    place = Path(path)
    hidden = place.with_name(f".{place.name[: _LONGEST - 3]}.~")
    hidden.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, kind)
    try:
        with socket_address(hidden) as address:
            listening.bind(address)
        hidden.chmod(mode)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
        hidden.rename(place)
    except BaseException:
        listening.close()
        with suppress(OSError):
            hidden.unlink()
        raise
    return listening


def connect_to(path: str | Path, kind: int = socket.SOCK_STREAM, *, timeout: float | None = None) -> socket.socket:
    """A connection to who listens at *path*; *timeout* = seconds for it, and for each act on it; None = for ever.

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, kind)
    try:
        connection.settimeout(timeout)
        with socket_address(Path(path)) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


async def open_connection(path: str | Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams of asyncio to who listens at *path*.

    Raises:
        OSError: nobody listens there.
    """
    import asyncio

    with socket_address(Path(path)) as address:
        return await asyncio.open_unix_connection(address)


class UnixHTTPConnection(http.client.HTTPConnection):
    """HTTP to who listens at a path."""

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        """Args: the path of the socket; seconds for each act, None = for ever."""
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Reach the socket."""
        self.sock = connect_to(self._path, timeout=self.timeout)
