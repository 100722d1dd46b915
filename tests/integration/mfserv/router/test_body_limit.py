"""Bodies whose length is not said have an end, whatever kind of app they are for, and hurt nobody else."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.certificates import both, put
from tests.integration.mfserv.router.test_access import ECHO
from tests.integration.mfserv.serv import Serv, free_port

LIMIT = 100_000
WSGI = """
def app(environ, start_response):
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    start_response("200 OK", [])
    return [b'{"size": %d}' % size]
"""
TORNADO = """
from tornado.web import Application, RequestHandler

class Size(RequestHandler):
    def post(self):
        self.write({"size": len(self.request.body)})

app = Application([(r"/.*", Size)])
"""
PROGRAM = """
import http.server, socket, sys

class Size(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = 0
        while length := int(self.rfile.readline(), 16):
            size += len(self.rfile.read(length))
            self.rfile.readline()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"size": %d}' % size)

    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def address_string(self):
        return "-"

if __name__ == "__main__":
    if len(sys.argv) > 1:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Size)
    else:
        server = http.server.ThreadingHTTPServer(("", 0), Size, bind_and_activate=False)
        server.socket.close()
        server.socket = socket.socket(fileno=3)
        server.get_request = lambda: (server.socket.accept()[0], ("router", 0))
    server.serve_forever()
"""
#: Settings and code of each kind.
KINDS = {
    "asgi": ("app = main:app\ninterface = asgi", ECHO),
    "wsgi": ("app = main:app\ninterface = wsgi", WSGI),
    "tornado": ("app = main:app", TORNADO),
    "socket": ("cmd = {PYTHON} main.py\nconcurrency = 8", PROGRAM),
    "port": ("cmd = {PYTHON} main.py {PORT}\nconcurrency = 8", PROGRAM),
    "static": ("static = files", ""),
    "later": ("app = main:app\ninterface = asgi\nasync = allow", ECHO),
    "proxy": ("upstream = http://127.0.0.1:@PORT@", ""),
}


class Upstream(http.server.BaseHTTPRequestHandler):
    """A service elsewhere that says how large a body is, if it has an end."""

    def do_POST(self) -> None:
        size = 0
        while length := int(self.rfile.readline() or b"0", 16):  # who hangs up is no fault of this one
            size += len(self.rfile.read(length))
            self.rfile.readline()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"size": size}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv], upstream: int, tls_port: int) -> Serv:
    serv = new_serv("")
    put(serv.folder / "certificate.pem", both("first.example"))
    serv.configure(f"[tls]\ncertificate = {serv.folder}/certificate.pem\nport = {tls_port}\n")
    for kind, (what, code) in KINDS.items():
        (serv.home.plugins / kind).symlink_to(plugin(serv.folder / kind, what.replace("@PORT@", str(upstream)), code))
    serv.run("metwork", "apply", "mfserv")
    for kind in KINDS:
        wait_until(lambda kind=kind: ask(serv.port, f"{kind}/", 10)[0] != 503, what=kind)  # type: ignore[misc]
    return serv


def plugin(folder: Path, what: str, code: str) -> Path:
    (folder / "files").mkdir(parents=True)
    (folder / "main.py").write_text(code)
    (folder / "config.ini").write_text(
        f"[general]\nname = {folder.name}\nsummary = {folder.name}\n\n"
        f"[app_main]\n{what}\nmax_body = {LIMIT}\nworkers = 1\ngraceful_timeout = 2\n"
    )
    return folder


def ask(port: int, kind: str, size: int) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer to a body in chunks of a thousand bytes, which ends when an answer comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with suppress(ConnectionError):  # the answer may come, and the connection end, before all was sent
            connection.sendall(f"POST /{kind} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(size // 1000):
                connection.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            if size % 1000:
                connection.sendall(b"%x\r\n%s\r\n" % (size % 1000, b"x" * (size % 1000)))
            if size <= LIMIT:
                connection.sendall(b"0\r\n\r\n")
        with http.client.HTTPResponse(connection, method="POST") as answer:
            answer.begin()
            return answer.status, bytes(answer.headers), answer.read()


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_in_chunks_may_be_so_large_and_no_larger(serv: Serv, kind: str) -> None:
    status, _, body = ask(serv.port, f"{kind}/", LIMIT)
    if kind == "static":
        assert status == 405
    else:
        assert (status, b'"size": %d' % LIMIT in body) == (200, True)
    # It is refused though it never ends, with the words that a length too large is refused with.
    status, head, body = ask(serv.port, f"{kind}/", LIMIT + 1)
    assert (status, json.loads(body)) == (413, {"title": "the body is too large", "status": 413})
    assert b"content-type: application/problem+json" in head.lower()
    assert b"x-request-id: " in head.lower()
    assert ask(serv.port, f"{kind}/", 5)[0] == (405 if kind == "static" else 200)


def test_it_is_counted_where_http_2_says_no_length_either(serv: Serv, tls_port: int) -> None:
    def status(size: int) -> bytes:
        command = ["curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-T", "-"]
        url = f"https://127.0.0.1:{tls_port}/socket/"
        return subprocess.run([*command, url], input=b"x" * size, capture_output=True, timeout=60).stdout

    assert (status(LIMIT), status(50 * LIMIT)) == (b"200", b"413")


@pytest.mark.parametrize(
    ("kind", "headers"), [("asgi", ()), ("socket", ()), ("proxy", ()), ("later", ("-H", "Prefer: respond-async"))]
)
def test_who_goes_on_sending_reads_the_answer_nevertheless(serv: Serv, kind: str, headers: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{serv.port}/{kind}/"
    command = ["curl", "-s", "-X", "POST", "-T", "-", *headers, "-w", " %{http_code}", url]
    found = subprocess.run(command, input=b"x" * (300 * LIMIT), capture_output=True, timeout=60).stdout
    body, _, status = found.rpartition(b" ")
    assert (json.loads(body), status) == ({"title": "the body is too large", "status": 413}, b"413")


@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"])
def test_a_length_that_is_too_large_is_refused_whether_or_not_the_client_waits_for_a_word(
    serv: Serv, expect: str
) -> None:
    url = f"http://127.0.0.1:{serv.port}/socket/"
    command = ["curl", "-s", "--data-binary", "@-", "-H", expect, "-w", " %{http_code}", url]
    found = subprocess.run(command, input=b"x" * (300 * LIMIT), capture_output=True, timeout=60).stdout
    body, _, status = found.rpartition(b" ")
    assert (json.loads(body), status) == ({"title": "the body is too large", "status": 413}, b"413")


def test_who_sends_without_an_end_holds_no_memory_and_nobody_up(serv: Serv) -> None:
    (pid,) = serv.pids("bodies")
    stopped = threading.Event()

    def flood() -> None:
        piece = b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n"
        while not stopped.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
                connection.sendall(b"POST /socket/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                while not stopped.is_set():
                    connection.sendall(piece)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        others = [serv.service.get("/socket/").status for _ in range(20)]
        time.sleep(0.5)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert set(others) == {204}
    assert serv.pids("bodies") == [pid]
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 100_000  # kB


def test_a_body_that_was_broken_off_is_none_for_the_app(serv: Serv) -> None:
    def said(words: str) -> bool:
        return any(words in file.read_text("utf-8", "replace") for file in serv.home.log.glob("app.port.main*"))

    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(b"POST /port/cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall((b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 30)
    assert ask(serv.port, "port/whole", 5)[0] == 200
    wait_until(lambda: said('POST /whole HTTP/1.1" 200'), what="the program's log")
    wait_until(lambda: said("ValueError"), what="the program found no end")
    assert not said('POST /cut HTTP/1.1" 200')


def test_an_app_that_answers_before_the_body_is_over_is_heard(serv: Serv) -> None:
    with socket.create_connection(("127.0.0.1", serv.port), timeout=30) as connection:
        connection.sendall(b"PUT /socket/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall((b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 90)
        assert connection.recv(4096).split()[1] == b"501"
