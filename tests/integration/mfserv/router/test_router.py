"""The router itself: killed, made anew under load, limits by address, connections that stay open, what it counts."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from mfext.testing import wait_until
from tests.integration.mfserv.load import load
from tests.integration.mfserv.serv import Serv
from tests.integration.mfserv.workers.test_registration import grown, write

OPEN = """
import asyncio
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(f"{self.request.path} {message}")

class Events(RequestHandler):
    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        for number in range(1000):
            self.write(f"data: {number}\\n\\n")
            await self.flush()
            await asyncio.sleep(0.05)

app = Application([(r"/echo", Echo), (r"/events", Events)])
"""


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    write(serv, "two", workers=2)
    (write(serv, "open", interface="tornado") / "main.py").write_text(OPEN)
    write(serv, "few", rate="7/60s")
    for name in ("two", "open", "few"):
        (serv.home.plugins / name).symlink_to(serv.folder / name)
    apply(serv)
    wait_until(lambda: serv.service.get("/two/").status == 200, what="the apps")
    return serv


def apply(serv: Serv, config: str = "") -> None:
    serv.configure(config)
    serv.run("metwork", "apply", "mfserv")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def answers(serv: Serv) -> bool:
    try:
        return serv.service.get("/two/").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("which", ["the worker", "the master"])
def test_a_killed_haproxy_is_started_again_by_its_keeper(serv: Serv, which: str) -> None:
    (keeper,) = serv.pids("router")
    (master,) = wait_until(lambda: children(keeper), what="HAProxy")
    with load(serv.port, "/two/", clients=4) as requests:
        grown(requests, 100)
        # One that has just been started is taken for one that cannot run.
        started = time.monotonic()
        wait_until(lambda: time.monotonic() > started + 1.1, what="it is old enough")
        for pid in [master] if which == "the master" else children(master):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: children(keeper) not in ([], [master]), what="another HAProxy")
        wait_until(lambda: answers(serv), what="it answers")
        grown(requests, 100)
    assert serv.pids("router") == [keeper]
    assert all("Error" in str(what) or "Disconnected" in str(what) for what in requests.bad), requests.bad


def test_the_router_is_made_anew_under_load_without_a_request_lost(serv: Serv) -> None:
    with load(serv.port, "/two/") as requests, load(serv.port, "/two/", method="POST") as posts:
        for number in range(2):
            grown(requests, 100)
            apply(serv, f"[client_number{number}]\nkeys = key-{number}\n")
        grown(requests, 100)
    assert (requests.bad, posts.bad) == ({}, {})


def test_an_address_has_a_rate_whoever_asks(serv: Serv) -> None:
    apply(serv, "[limits]\naddress_rate = 5/60s\n[client_one]\nkeys = key-one\n")
    keys = [{}, {"X-API-Key": "key-one"}] * 5
    found = [serv.service.get("/two/", key) for key in keys]
    assert Counter(one.status for one in found) == {200: 5, 429: 5}
    assert found[-1].headers["ratelimit-policy"] == '"address";q=5;w=60'
    assert found[-1].headers["ratelimit"] == '"address";r=0;t=72'
    assert found[-1].headers["retry-after"] == "72"


def test_an_address_has_so_many_connections(serv: Serv) -> None:
    apply(serv, "address_connections = 3\n")
    with ExitStack() as stack:
        opened = [stack.enter_context(opened_to(serv)) for _ in range(3)]
        wait_until(lambda: is_refused(serv), what="the end of the one too many")
        assert asked(opened[0]).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: answers(serv), what="there is room for another one")
    apply(serv)


def opened_to(serv: Serv) -> socket.socket:
    return socket.create_connection(("127.0.0.1", serv.port), timeout=60)


def is_refused(serv: Serv) -> bool:
    try:
        with opened_to(serv) as connection:
            return is_closed(connection)
    except ConnectionResetError:  # so soon that it was never open
        return True


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True


def asked(connection: socket.socket) -> bytes:
    connection.sendall(b"GET /two/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return connection.recv(4096)


def test_the_address_of_a_client_is_that_which_the_balancer_in_front_says(serv: Serv) -> None:
    apply(serv, "accept_proxy = 1\n[limits]\naddress_rate = 3/60s\nanonymous_rate = 2/60s\n")

    def status(client: str) -> int:
        kind, here = ("TCP6", "::1") if ":" in client else ("TCP4", "127.0.0.1")
        with opened_to(serv) as connection:
            connection.sendall(f"PROXY {kind} {client} {here} 1 2\r\n".encode())
            return int(asked(connection).split()[1])

    assert [status("192.0.2.9") for _ in range(3)] == [200, 200, 429]
    assert status("192.0.2.10") == 200
    # Who has one address of IPv6 has many.
    assert [status(f"2001:db8::{number}") for number in (1, 2, 3)] == [200, 200, 429]
    assert status("2001:db8:0:1::1") == 200
    with opened_to(serv) as connection:
        connection.sendall(b"GET /two/ HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: is_closed(connection), what="the end of who does not come through the balancer")
    apply(serv)


def test_a_service_and_a_client_tell_what_is_left(serv: Serv) -> None:
    apply(serv, "[client_one]\nkeys = key-one\nrate = 9/60s\n")
    connection = http.client.HTTPConnection("127.0.0.1", serv.port, timeout=60)
    connection.request("GET", "/few/", headers={"X-API-Key": "key-one"})
    answer = connection.getresponse()
    connection.close()
    assert answer.headers.get_all("RateLimit") == ['"client";r=8;t=67', '"service";r=6;t=69']
    assert answer.headers.get_all("RateLimit-Policy") == ['"client";q=9;w=60', '"service";q=7;w=60']


def test_websockets_and_event_streams_go_on_while_the_router_is_made_anew(serv: Serv) -> None:
    async def talk() -> list[str | bytes | None]:
        url = f"ws://127.0.0.1:{serv.port}/open/echo"
        connection = await websocket_connect(HTTPRequest(url, headers={"X-Metwork-Class": "forged"}))
        reader, writer = await asyncio.open_connection("127.0.0.1", serv.port)
        writer.write(b"GET /open/events HTTP/1.1\r\nHost: a\r\n\r\n")
        heard: list[str | bytes | None] = []
        for number in range(2):
            await reader.readuntil(f"data: {number}\n".encode())  # each as soon as it is sent
            await connection.write_message(f"hello {number}")
            heard.append(await connection.read_message())
            await asyncio.to_thread(apply, serv, f"[client_again{number}]\nkeys = key-again-{number}\n")
        await reader.readuntil(b"data: 9\n")
        connection.close()
        writer.close()
        return heard

    assert asyncio.run(asyncio.wait_for(talk(), 200)) == [f"/echo hello {number}" for number in range(2)]


def test_what_is_answered_and_what_waits_is_told_to_prometheus(serv: Serv) -> None:
    serv.service.get("/two/")

    def told() -> str:
        return serv.service.get("/__metrics").body.decode()

    labels = 'app="two.main",class="interactive"'
    answered = f'metwork_requests_total{{{labels},route="/two",status="200"}} '
    lines = wait_until(lambda: answered in told() and told(), what="metrics")
    assert f'metwork_request_seconds_bucket{{{labels},le="0.1",route="/two"}} ' in str(lines)
    assert 'metwork_requests_waiting{app="two.main",queue="batch"} 0.0\n' in str(lines)
    assert 'metwork_app_workers{app="two.main"} 2.0\n' in str(lines)
    assert 'metwork_process_ready{plugin="",process="router"} 1.0\n' in str(lines)
    page = serv.service.get("/__metrics/haproxy").body.decode()
    assert "haproxy_frontend_http_requests_total" in page
    assert "haproxy_process_failed_resolutions_total " in page
    for text in (str(lines), page, serv.service.get("/metrics/haproxy").body.decode()):
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")
    assert 'metwork_process_ready{plugin="",process="router"} 1.0\n' in serv.service.get("/metrics").body.decode()
    assert "haproxy_process" not in serv.service.get("/__metrics/haproxy?scope=server").body.decode()
    assert serv.service.get("/__metrics/other").status == 404


def test_sockets_are_for_their_owner_alone(serv: Serv) -> None:
    found = {path: path.stat() for path in serv.home.run.rglob("*") if path.is_socket()}
    assert {"circus.sock", "router-peers.sock", "bodies.sock"} <= {path.name for path in found}
    assert not [f"{path.name} {status.st_mode:o}" for path, status in found.items() if status.st_mode & 0o077]


def test_what_a_killed_arbiter_leaves_is_nothing_and_a_start_brings_all_back(serv: Serv) -> None:
    (keeper,) = serv.pids("router")
    (master,) = children(keeper)
    below = [keeper, master, *children(master), *serv.pids("sockets"), *serv.pids("app.two.main.0")]
    with load(serv.port, "/two/", clients=2) as requests:
        grown(requests, 20)
        os.kill(parent(keeper), signal.SIGKILL)
        wait_until(lambda: not any(lives(pid) for pid in below), what="all have ended")
        serv.run("mfserv.start")
        wait_until(lambda: answers(serv), what="it answers")
        grown(requests, 20)
    assert not set(below) & {*serv.pids("router"), *serv.pids("sockets"), *serv.pids("app.two.main.0")}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
