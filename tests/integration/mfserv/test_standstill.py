"""Workers that stand still, or that do not leave: they are seen, named, killed and replaced, and others are served."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mfext.supervision.exits import exits_of
from mfext.testing import wait_until
from tests.integration.mfserv.serv import Serv

CODE = """
import time
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(1)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"].endswith("/slow"):
        time.sleep(1)
    if scope["path"].endswith("/block"):
        time.sleep(100000)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"].endswith("/thread"):
        POOL.submit(time.sleep, 100000)
    await send({"type": "http.response.body", "body": b"short"})
"""

#: Never set: the pause of a client who reads slowly.
PAUSE = threading.Event()
#: What holds a thread of this app: code that blocks, pieces that come slowly, or a client who reads none.
WSGI = """
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    while path.endswith("/block"):
        time.sleep(0.1)
    start_response("200 OK", [])
    if path.endswith("/pieces"):
        return (time.sleep(0.5) or b"piece" for _ in range(14))
    if path.endswith("/waits"):
        return (time.sleep(0.5) or b"" for _ in range(14))
    if path.endswith("/big"):
        return (b"x" * 1000000 for _ in range(50))
    return [b"short"]
"""


@pytest.fixture(scope="module")
def running(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    serv.develop(serv.plugin("still", code=CODE, stalled_after="2", workers="1", timeout="1"))
    serv.develop(serv.plugin("leaver", code=CODE, stalled_after="0", workers="1", graceful_timeout="1", timeout="1"))
    serv.develop(serv.plugin("busy", code=CODE, stalled_after="4", workers="1"))
    threads = {"interface": "wsgi", "workers": "1", "concurrency": "2"}
    serv.develop(serv.plugin("full", code=WSGI, stalled_after="3", timeout="1", **threads))
    serv.develop(serv.plugin("moves", code=WSGI, stalled_after="3", **threads))
    return serv


def test_a_worker_that_stands_still_is_killed_named_and_replaced(running: Serv) -> None:
    (pid,) = running.pids("app.still.main.0")
    assert running.service.get("/still/block").status in (200, 504, 502)
    wait_until(lambda: set(running.pids("app.still.main.0")) - {pid}, what="another worker is there")
    assert exits_of(running.home, "app.still.main.0")[-1].stalled >= 2
    assert running.service.get("/still/").body == b"short"
    assert "since its loop had stood still" in running.run("mfserv.status")


def test_a_worker_that_blocks_but_goes_on_from_request_to_request_is_left_alone(running: Serv) -> None:
    before = running.pids("app.busy.main.0")
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: running.service.get("/busy/slow").status, range(10)))
    assert answers == [200] * 10
    assert running.pids("app.busy.main.0") == before


def test_a_wsgi_worker_whose_threads_all_block_is_killed_named_and_replaced(running: Serv) -> None:
    (pid,) = running.pids("app.full.main.0")
    assert running.service.get("/full/block").status in (504, 502)
    assert running.service.get("/full/").body == b"short"  # by the other thread
    assert running.pids("app.full.main.0") == [pid]
    assert running.service.get("/full/block").status in (504, 502)
    wait_until(lambda: set(running.pids("app.full.main.0")) - {pid}, what="another worker is there")
    assert exits_of(running.home, "app.full.main.0")[-1].stalled >= 3
    assert running.service.get("/full/").body == b"short"
    notes = running.run("mfserv.status").splitlines()
    assert any("app.full.main.0" in note and "since its loop had stood still" in note for note in notes)


def test_a_wsgi_worker_whose_threads_go_on_or_wait_for_their_clients_is_left_alone(running: Serv) -> None:
    before = running.pids("app.moves.main.0")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda what: running.service.get(f"/moves/{what}").body, ["pieces", "waits"]))
    assert answers == [b"piece" * 14, b""]
    with opened(running.port, "/moves/big") as one, opened(running.port, "/moves/big") as other:
        for _ in range(14):  # longer than stalled_after, with all threads waiting for those who read
            assert one.recv(1000)
            assert other.recv(1000)
            PAUSE.wait(0.5)
    assert running.service.get("/moves/").body == b"short"
    assert running.pids("app.moves.main.0") == before


def opened(port: int, path: str) -> socket.socket:
    """A connection of a client who has asked for *path* and reads what he wants."""
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection


@pytest.mark.parametrize("what", ["block", "thread"])
def test_a_reload_ends_in_a_kill_when_a_worker_does_not_leave(running: Serv, what: str) -> None:
    (pid,) = running.pids("app.leaver.main.0")
    assert running.service.get(f"/leaver/{what}").status in (200, 504, 502)
    assert "1 worker(s) replaced" in running.run("mfserv.reload", "leaver")
    assert running.pids("app.leaver.main.0") != [pid]
    assert running.service.get("/leaver/").body == b"short"
