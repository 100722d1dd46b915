from __future__ import annotations

import asyncio
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.net.unix import UnixHTTPConnection, connect_to, listen_at, open_connection

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Longer than an address of a socket may be."""
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    return folder / "test.sock"


@pytest.fixture
def server(path: Path) -> Iterator[Path]:
    """Answers every request."""
    listening = listen_at(path)
    listening.setblocking(True)

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            with connection:
                if not connection.recv(65536):
                    return
                connection.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    connect_to(path).close()  # an empty request ends it
    thread.join()
    listening.close()


def test_requests_are_answered_at_a_long_path(server: Path) -> None:
    connection = UnixHTTPConnection(server, timeout=60)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"ok"
    connection.close()


def test_asyncio_reaches_a_long_path(server: Path) -> None:
    async def ask() -> bytes:
        reader, writer = await open_connection(server)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    assert asyncio.run(ask()) == ANSWER


def test_only_its_owner_may_connect(path: Path) -> None:
    with listen_at(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_socket_takes_the_place_of_another_and_of_what_a_dead_one_left(path: Path) -> None:
    path.with_name(".test.sock.~").touch()
    with listen_at(path), listen_at(path) as second, connect_to(path, timeout=60) as connection:
        second.setblocking(True)
        connection.sendall(b"x")
        taken, _ = second.accept()
        with taken:
            assert taken.recv(1) == b"x"


def test_packets_keep_their_bounds(path: Path) -> None:
    with listen_at(path, socket.SOCK_SEQPACKET) as listening, connect_to(path, socket.SOCK_SEQPACKET) as connection:
        listening.setblocking(True)
        connection.send(b"one")
        connection.send(b"two")
        taken, _ = listening.accept()
        with taken:
            assert [taken.recv(100), taken.recv(100)] == [b"one", b"two"]


def test_nobody_there_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect_to(path)
    with pytest.raises(FileNotFoundError):
        connect_to(path / "no" / "folder")
    with pytest.raises(FileNotFoundError):
        listen_at(path / "no" / "folder")
