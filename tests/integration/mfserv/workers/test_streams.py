"""Through the router: bodies without a length, events without an end, WebSockets, and what a reload means to them."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from mfserv.testing import Answer
from tests.integration.mfserv.serv import Serv
from tests.integration.mfserv.workers.test_servers import ASGI, TORNADO
from tests.underload.kills import written

PROGRAM = """
import http.server, signal, socket
class Hello(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = 0
        while length := int(self.rfile.readline(), 16):
            size += len(self.rfile.read(length))
            self.rfile.readline()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(size).encode())
    def address_string(self):
        return "-"
server = http.server.ThreadingHTTPServer(("", 0), Hello, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
server.get_request = lambda: (server.socket.accept()[0], ("router", 0))
server.serve_forever()
"""


@pytest.fixture(scope="module")
def running(serv: Serv) -> Serv:
    serv.develop(written(serv, "events", f"FAILS = False\n{ASGI}"))
    serv.develop(written(serv, "echo", TORNADO, interface="tornado"))
    serv.develop(written(serv, "program", PROGRAM, cmd="{PYTHON} main.py", graceful_timeout=1))
    return serv


def test_a_program_gets_a_body_whose_length_is_not_said(running: Serv) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)) as connection:
        pieces = iter([b"x" * 50_000] * 20)
        connection.request("POST", "/program/", pieces, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        with connection.getresponse() as answer:
            assert Answer(answer.status, {}, answer.read()) == Answer(200, {}, b"1000000")


def test_events_reach_the_client_when_they_happen(running: Serv) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)) as connection:
        connection.request("GET", "/events/")
        with connection.getresponse() as answer:
            assert answer.read1(100) == b"data: one\n\n"  # the answer has no end


@pytest.mark.parametrize(("app", "path"), [("events", "/events/here"), ("echo", "/echo/echo")])
def test_a_websocket_is_told_of_a_reload_and_comes_to_the_new_worker(running: Serv, app: str, path: str) -> None:
    def said(socket: ClientConnection) -> str:
        if app == "events":
            assert socket.recv() == path
        socket.send("hello")
        return str(socket.recv())

    with connect(f"ws://127.0.0.1:{running.port}{path}") as socket:
        assert said(socket) == "HELLO"
        (pid,) = running.pids(f"app.{app}.main.0")
        running.run("mfserv.reload", app)
        assert running.pids(f"app.{app}.main.0") != [pid]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012  # service restart
    with connect(f"ws://127.0.0.1:{running.port}{path}") as socket:
        assert said(socket) == "HELLO"
