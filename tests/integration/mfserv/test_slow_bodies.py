"""Bodies that come slowly are taken, those that stop are given up, and neither holds a worker."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfserv.router.test_access import ECHO
from tests.integration.mfserv.router.test_body_limit import PROGRAM, TORNADO, WSGI
from tests.integration.mfserv.serv import Serv

#: Connects to a port.
Connect = Callable[[int], socket.socket]
#: Seconds for which a body may stop, and those in which the headers must have come.
BODY, HEADERS = 2, 1
EAGER = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"early"})
"""
KINDS = {
    "asgi": ("app = main:app\ninterface = asgi", ECHO),
    "wsgi": ("app = main:app\ninterface = wsgi", WSGI),
    "tornado": ("app = main:app", TORNADO),
    "program": ("cmd = {PYTHON} main.py", PROGRAM),
    "later": ("app = main:app\ninterface = asgi\nasync = only", ECHO),
    "eager": ("app = main:app\ninterface = asgi", EAGER),
}


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    serv.configure(f"body_timeout = {BODY}\nheader_timeout = {HEADERS}\nbody_spool = 24000000\n")
    for kind, (what, code) in KINDS.items():
        (serv.folder / kind).mkdir()
        write(serv.folder / kind, what, code)
        (serv.home.plugins / kind).symlink_to(serv.folder / kind)
    serv.run("metwork", "apply", "mfserv")
    for kind in KINDS:
        wait_until(lambda kind=kind: serv.service.get(f"/{kind}/").status not in (404, 503), what=kind)  # type: ignore[misc]
    return serv


def write(folder: Path, what: str, code: str) -> None:
    (folder / "main.py").write_text(code)
    (folder / "config.ini").write_text(
        f"[general]\nname = {folder.name}\nsummary = {folder.name}\n\n"
        f"[app_main]\n{what}\nworkers = 1\ngraceful_timeout = 2\n"
    )


def head(kind: str, size: int, chunked: bool) -> bytes:
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    return f"POST /{kind}/ HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n".encode()


def piece(size: int, chunked: bool) -> bytes:
    return b"%x\r\n%s\r\n" % (size, b"x" * size) if chunked else b"x" * size


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    with http.client.HTTPResponse(connection, method="POST") as answer:
        answer.begin()
        return answer.status, answer.read()


FORMS = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])


@pytest.fixture
def connections() -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect(port: int) -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))

        yield connect


def test_bodies_that_come_slowly_are_taken(serv: Serv, connections: Connect) -> None:
    slow = {
        (kind, chunked): connections(serv.port)
        for kind in ("asgi", "wsgi", "tornado", "later")
        for chunked in (False, True)
    }
    for (kind, chunked), connection in slow.items():
        connection.sendall(head(kind, 2500, chunked))
    for _ in range(25):
        time.sleep(0.1)  # longer in all than a body may stop
        for (_, chunked), connection in slow.items():
            connection.sendall(piece(100, chunked))
    for (kind, chunked), connection in slow.items():
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        status, body = answer_of(connection)
        if kind == "later":
            assert status == 202
        else:
            assert (status, json.loads(body)["size"]) == (200, 2500)


def test_bodies_that_stop_are_given_up(serv: Serv, connections: Connect) -> None:
    stopped = []
    begin = time.monotonic()
    for kind, begun, chunked in product(("asgi", "wsgi", "later"), (0, 1, 20_000, 200_000), (False, True)):
        stopped.append(connections(serv.port))
        stopped[-1].sendall(head(kind, 1_000_000, chunked) + (piece(begun, chunked) if begun else b""))
    for one in stopped:
        status, body = answer_of(one)
        assert (status, json.loads(body)["status"]) == (408, 408)
        assert time.monotonic() - begin > BODY


@FORMS
@pytest.mark.parametrize("begun", [1, 100_000])
@pytest.mark.parametrize("kind", ["asgi", "wsgi", "tornado", "program"])
def test_slow_bodies_of_one_address_hold_no_worker(
    serv: Serv, connections: Connect, kind: str, begun: int, chunked: bool
) -> None:
    slow = [connections(serv.port) for _ in range(50)]
    for one in slow:
        one.sendall(head(kind, 1_000_000, chunked) + piece(begun, chunked))
    for _ in range(5):
        assert serv.service.get(f"/{kind}/").status in (200, 204, 405)


def test_bodies_of_one_address_do_not_fill_the_disk(serv: Serv, connections: Connect) -> None:
    long = [connections(serv.port) for _ in range(12)]
    for one in long:
        one.sendall(head("program", 9_000_000, chunked=False) + bytes(900_000))
    statuses = Counter(answer_of(one)[0] for one in long)
    assert set(statuses) == {503, 408}  # one takes the worker, six lie on disk
    assert statuses[503]


def test_as_many_as_an_app_can_spare_get_their_answer_before_their_body_is_over(serv: Serv) -> None:
    with socket.create_connection(("127.0.0.1", serv.port), timeout=30) as connection:
        connection.sendall(head("eager", 0, chunked=True) + piece(20_000, chunked=True))
        assert answer_of(connection) == (200, b"early")


def test_a_long_body_is_whole_however_it_came(serv: Serv, connections: Connect) -> None:
    whole = b"0123456789" * 500_000
    several = [connections(serv.port) for _ in range(12)]  # more than go on as they come
    for one in several:
        one.sendall(head("asgi", len(whole), chunked=False) + whole[:100_000])
    for one in several:
        one.sendall(whole[100_000:])
    for one in several:
        status, body = answer_of(one)
        assert (status, json.loads(body)["size"]) == (200, len(whole))
    assert not [path for path in (serv.home.var / "router").iterdir() if path.name.startswith("tmp")]
