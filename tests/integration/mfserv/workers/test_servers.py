"""What each kind of app is given and may do: bodies without an end, WebSockets, programs with sockets of their own."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import unix_connect

from mfext.testing import wait_until
from mfserv.testing import Service, _Connection, serving

WSGI = """
import json
SIZE = 64 * 1024
CLOSED = [0]

def big(number):
    try:
        for _ in range(number):
            yield b"x" * SIZE
    except GeneratorExit:
        CLOSED[0] += 1

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/big":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return big(int(environ["QUERY_STRING"]))
    if path == "/closed":
        start_response("200 OK", [])
        return [str(CLOSED[0]).encode()]
    if path == "/count":
        size = 0
        while piece := environ["wsgi.input"].read(SIZE):
            size += len(piece)
        start_response("200 OK", [])
        return [str(size).encode()]
    if path == "/lines":
        start_response("200 OK", [])
        return [json.dumps([line.decode() for line in environ["wsgi.input"]]).encode()]
    if path == "/late":
        raise ValueError("no")
    start_response("200 OK", [("X-Peak", "0")])
    said = {key: str(value) for key, value in environ.items()}
    return [json.dumps(said).encode()]
"""

ASGI = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: one\\n\\n", "more_body": True})
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
    elif scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the model is missing"} if FAILS
                   else {"type": "lifespan.startup.complete"})
        await receive()
        print("shut down in order", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
"""

TORNADO = """
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message.upper())

app = Application([("/echo", Echo)])
"""


def folder_with(place: Path, **files: str) -> Path:
    for name, text in files.items():
        (place / name.replace("_py", ".py")).write_text(text)
    return place


@contextmanager
def opened(service: Service, path: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to GET *path* while it still comes."""
    connection = _Connection(service.place)
    connection.request("GET", path)
    with closing(connection), connection.getresponse() as answer:
        yield answer


@pytest.fixture(scope="module")
def wsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving("main:app", "wsgi", folder_with(tmp_path_factory.mktemp("wsgi"), main_py=WSGI)) as service:
        yield service


def test_a_wsgi_app_sends_a_body_that_is_never_held(wsgi: Service) -> None:
    got = 0
    with opened(wsgi, "/big?4096") as answer:
        while piece := answer.read(1 << 20):
            got += len(piece)
    assert got == 256 << 20
    assert peak_of_children() < 128 << 20


def test_a_wsgi_app_hears_that_nobody_wants_the_rest(wsgi: Service) -> None:
    with opened(wsgi, "/big?100000000") as answer:
        assert answer.read(10) == b"x" * 10
    wait_until(lambda: wsgi.get("/closed").body == b"1", what="the iterable is closed")


def peak_of_children() -> int:
    """Bytes that the largest worker started by this program has held."""
    peaks = [
        int(text.split("VmHWM:")[1].split()[0]) * 1024
        for status in Path("/proc").glob("[0-9]*/status")
        if (text := read(status)) and f"PPid:\t{os.getpid()}\n" in text and "VmHWM" in text
        if "mfserv.workers.worker" in read(status.with_name("cmdline"))
    ]
    return max(peaks)


def read(file: Path) -> str:
    """What is in *file*, '' when it has gone meanwhile."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def test_a_wsgi_app_reads_a_body_as_it_comes_with_and_without_a_length(wsgi: Service) -> None:
    assert wsgi.post("/count", b"x" * 3_000_000).body == b"3000000"
    with closing(_Connection(wsgi.place)) as connection:
        pieces = iter([b"x" * 100_000] * 20)
        connection.request("POST", "/count", pieces, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        with connection.getresponse() as answer:
            assert answer.read() == b"2000000"
    assert wsgi.post("/lines", b"a\nb").json() == ["a\n", "b"]


def test_a_wsgi_app_sees_no_header_that_only_looks_like_one_of_the_router(wsgi: Service) -> None:
    said: dict[str, Any] = wsgi.get("/a%20b", {"X_Metwork_Client": "admin", "X-Forwarded-Prefix": "/route"}).json()
    assert "HTTP_X_METWORK_CLIENT" not in said
    assert (said["SCRIPT_NAME"], said["PATH_INFO"]) == ("/route", "/a b")


def test_a_wsgi_app_that_raises_is_answered_for_and_goes_on(wsgi: Service) -> None:
    assert wsgi.get("/late").status == 500
    assert wsgi.get("/").status == 200


ENDLESS = {
    "asgi": """
import sys
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    try:
        while scope["path"].endswith("/endless"):
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
    except OSError:
        print("heard of it", file=sys.stderr, flush=True)
        raise
    await send({"type": "http.response.body", "body": b"short"})
""",
    "starlette": """
import gc
import sys
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

async def pieces():
    try:
        while True:
            yield b"x" * 100
    finally:
        print("heard of it", file=sys.stderr, flush=True)

def short(request):
    gc.collect()  # the generator of a task that was cancelled is closed when it is forgotten
    return PlainTextResponse("short")

async def passed(request, call_next):
    return await call_next(request)

app = Starlette(
    routes=[Route("/endless", lambda request: StreamingResponse(pieces())),
            Route("/{rest:path}", short)],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=passed)] if MIDDLEWARE else [],
)
""",
    "wsgi": """
import sys
def pieces(environ):
    try:
        yield b"begun"
        while True:
            yield b"x" * 100 if environ["QUERY_STRING"] == "full" else b""
    finally:
        print("heard of it", file=sys.stderr, flush=True)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return pieces(environ) if environ["PATH_INFO"] == "/endless" else [b"short"]
""",
    "tornado": """
import sys
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler
class Endless(RequestHandler):
    async def get(self):
        try:
            while True:
                self.write(b"x" * 100)
                await self.flush()
        finally:
            print("heard of it", file=sys.stderr, flush=True)
class Short(RequestHandler):
    def get(self):
        self.write("short")
app = Application([("/endless", Endless), ("/.*", Short)])
""",
}


@pytest.mark.parametrize("kind", ["asgi", "starlette", "starlette middleware", "wsgi", "wsgi full", "tornado"])
def test_an_app_hears_that_its_client_has_left_and_others_are_served_meanwhile(tmp_path: Path, kind: str) -> None:
    name, _, variant = kind.partition(" ")
    code = ENDLESS[name].replace("MIDDLEWARE", str(bool(variant)))
    output = tmp_path / "output"
    with serving("main:app", folder=folder_with(tmp_path, main_py=code), prefix="", output=output) as service:
        with opened(service, f"/endless?{variant}") as answer:
            assert answer.read(5)
            assert service.get("/short").body == b"short"
        wait_until(
            lambda: service.get("/short").body == b"short" and b"heard of it" in output.read_bytes(),
            what="the app hears of it",
        )
    assert b"Traceback" not in output.read_bytes() or name == "tornado"


def test_an_asgi_app_speaks_websocket_below_its_route(tmp_path: Path) -> None:
    with serving("main:app", "asgi", folder_with(tmp_path, main_py=f"FAILS = False\n{ASGI}")) as service:
        assert isinstance(service.place, Path)
        route = {"X-Forwarded-Prefix": "/route"}
        with unix_connect(str(service.place), "ws://localhost/here", additional_headers=route) as socket:
            assert socket.recv() == "/route/here"
            socket.send("hello")
            assert socket.recv() == "HELLO"


def test_events_are_sent_when_they_happen(tmp_path: Path) -> None:
    code = folder_with(tmp_path, main_py=f"FAILS = False\n{ASGI}")
    with serving("main:app", "asgi", code) as service, opened(service, "/") as answer:
        assert answer.read1(100) == b"data: one\n\n"  # the answer has no end


def test_an_asgi_app_whose_startup_fails_is_told_of_in_its_own_words(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"startup \(lifespan\): the model is missing"),
        serving("main:app", "asgi", folder_with(tmp_path, main_py=f"FAILS = True\n{ASGI}")),
    ):
        pass


def test_a_tornado_app_speaks_websocket(tmp_path: Path) -> None:
    with (
        serving("main:app", "tornado", folder_with(tmp_path, main_py=TORNADO)) as service,
        unix_connect(str(service.place), "ws://localhost/echo") as socket,
    ):
        socket.send("hello")
        assert socket.recv() == "HELLO"


def test_entity_tags_follow_the_content_and_a_folder_leads_below_the_route(tmp_path: Path) -> None:
    (tmp_path / "site" / "docs").mkdir(parents=True)
    page = tmp_path / "site" / "page.txt"
    page.write_text("one")
    with serving("site", "static", tmp_path, prefix="/route") as service:
        first = service.get("/page.txt")
        known = {"If-None-Match": first.headers["etag"]}
        assert service.get("/page.txt", known).status == 304
        (tmp_path / "other").write_text("two")
        (tmp_path / "other").replace(page)
        os.utime(page, (0, 0))
        assert service.get("/page.txt", known).body == b"two"
        assert service.get("/page.txt", {"Range": "bytes=1-"}).body == b"wo"
        assert service.get("/../other").status == 403
        (tmp_path / "secret").write_text("secret")
        (tmp_path / "site" / "way_out").symlink_to(tmp_path / "secret")
        (tmp_path / "site" / "alias").symlink_to("page.txt")
        assert service.get("/way_out").status == 403
        assert service.get("/alias").body == b"two"
        (tmp_path / "site" / "docs" / "index.html").write_text("docs")
        moved = service.get("/docs")
        assert (moved.status, moved.headers["location"]) == (301, "/route/docs/")


LENGTHS = """
def app(environ, start_response):
    status = environ["QUERY_STRING"] or "200"
    headers = [("Content-Length", "1000")] if environ["PATH_INFO"].endswith("/said") else []
    start_response(f"{status} X", [("Content-Type", "text/plain"), *headers])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" or status in ("204", "304") else b"12345"]
"""


@pytest.mark.parametrize(
    ("method", "path", "status", "length"),
    [
        ("GET", "/", 200, "5"),
        ("HEAD", "/", 200, None),
        ("HEAD", "/said", 200, "1000"),
        ("GET", "/?304", 304, None),
        ("GET", "/said?304", 304, None),
        ("HEAD", "/?304", 304, None),
        ("GET", "/?204", 204, None),
    ],
)
def test_no_length_is_made_up_where_there_is_no_body(
    lengths: Service, method: str, path: str, status: int, length: str | None
) -> None:
    answer = lengths.ask(method, path)
    assert (answer.status, answer.headers.get("content-length")) == (status, length)
    assert "transfer-encoding" not in answer.headers


@pytest.fixture(scope="module")
def lengths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving("main:app", "wsgi", folder_with(tmp_path_factory.mktemp("lengths"), main_py=LENGTHS)) as service:
        yield service


def test_an_app_is_told_the_server_that_the_client_asks_for(wsgi: Service) -> None:
    said = wsgi.get("/", {"Host": "[2001:db8::1]:81"}).json()
    assert (said["SERVER_NAME"], said["SERVER_PORT"]) == ("[2001:db8::1]", "81")
    said = wsgi.get("/", {"Host": "example.org", "X-Forwarded-Proto": "https"}).json()
    assert (said["SERVER_NAME"], said["SERVER_PORT"], said["wsgi.url_scheme"]) == ("example.org", "443", "https")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("files")
    for name in ("page.txt", ".git/config", ".hidden", "a/.b/c", ".well-known/security.txt", "empty", ".well-known/.x"):
        (folder / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "site" / name).write_text("" if name == "empty" else "0123456789")
        os.utime(folder / "site" / name, (784111777, 784111777))
    with serving("site", "static", folder) as service:
        yield service


LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({"If-Match": '"other"'}, 412, None),
        ({"If-Match": "ETAG"}, 200, b"0123456789"),
        ({"If-Match": "W/ETAG"}, 412, None),
        ({"If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, 412, None),
        ({"If-Unmodified-Since": LAST_MODIFIED, "Range": "bytes=2-3"}, 206, b"23"),
        ({"If-None-Match": "W/ETAG"}, 304, b""),
        ({"If-None-Match": '"other"', "If-Modified-Since": LAST_MODIFIED}, 200, b"0123456789"),
        ({"If-Modified-Since": LAST_MODIFIED}, 304, b""),
        ({"If-Range": "ETAG", "Range": "bytes=2-3"}, 206, b"23"),
        ({"If-Range": LAST_MODIFIED, "Range": "bytes=2-3"}, 206, b"23"),
        ({"If-Range": '"other"', "Range": "bytes=2-3"}, 200, b"0123456789"),
        ({"If-Range": "W/ETAG", "Range": "bytes=2-3"}, 200, b"0123456789"),
        ({"If-None-Match": "ETAG", "Range": "bytes=2-3"}, 304, b""),
        ({"Range": "bytes=10-"}, 416, None),
    ],
)
def test_files_are_sent_as_the_conditions_of_a_request_say(
    files: Service, headers: dict[str, str], status: int, body: bytes | None
) -> None:
    etag = files.get("/page.txt").headers["etag"]
    asked = {name: value.replace("ETAG", etag) for name, value in headers.items()}
    answer = files.get("/page.txt", asked)
    assert answer.status == status
    assert body is None or answer.body == body
    expected = 200 if status in (206, 416) else status
    assert files.ask("HEAD", "/page.txt", asked).status == expected
    if status in (200, 206, 304):
        assert answer.headers["etag"] == etag


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/.git/config", 404),
        ("/%2egit/config", 404),
        ("/.git", 404),
        ("/.hidden", 404),
        ("/a/.b/c", 404),
        ("/a/../.hidden", 404),
        ("/.well-known/.x", 404),
        ("/.well-known/security.txt", 200),
        ("/page.txt%00", 404),
        ("/%00", 404),
        ("/" + "x" * 300, 404),
        ("/nothing", 404),
        ("/../x", 403),
    ],
)
def test_what_is_hidden_or_cannot_be_there_is_not_found(files: Service, path: str, status: int) -> None:
    assert files.get(path).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_folder_says_which_methods_it_has(files: Service, method: str) -> None:
    answer = files.ask(method, "/page.txt")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("kind", ["asgi", "starlette", "wsgi", "tornado"])
def test_a_path_that_no_app_can_have_is_not_found(tmp_path: Path, kind: str) -> None:
    code = ENDLESS[kind].replace("MIDDLEWARE", "False")
    with serving("main:app", folder=folder_with(tmp_path, main_py=code)) as service:
        assert service.get("/x%00y").status == 404
        assert service.post("/x%00y", b"body").status == 404
        assert service.get("/x?y=%00").status == 200


PROGRAM = """
import sys, http.server, socketserver, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"from %s" % sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return "-"
if sys.argv[1].startswith("/"):
    server = socketserver.ThreadingUnixStreamServer(sys.argv[1], Hello)
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hello)
server.serve_forever()
"""


@pytest.mark.parametrize("place", ["{SOCKET}", "{PORT}"])
def test_a_program_may_listen_where_it_is_told_to(tmp_path: Path, place: str) -> None:
    with serving(f"{sys.executable} serve.py {place}", "command", folder_with(tmp_path, serve_py=PROGRAM)) as service:
        said = service.get("/").body
        assert said.startswith(b"from ")
        assert said.endswith(b".own") is (place == "{SOCKET}")


def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "plain.sh").write_text("#!/bin/sh\n")  # nobody may execute it
    for name in ("/no/such/program", "no-such-program", "./plain.sh"):
        with pytest.raises(RuntimeError, match=f'there is no program "{name}"'), serving(name, "command", tmp_path):
            pass


ECHO = """
import json

async def asgi(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    body = json.dumps([value.decode() for _, value in scope["headers"]] + [scope["root_path"]]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [json.dumps([value for value in environ.values() if isinstance(value, str)]).encode()]
"""


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("pieces", [1, 2, 9])
def test_headers_are_what_came_before_the_body(tmp_path: Path, kind: str, pieces: int) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"1\r\nx\r\n0\r\nX-Forwarded-Prefix: /evil\r\nX-Request-Id: evil\r\nHost: evil\r\n\r\n"
    with serving(f"echo:{kind}", kind, tmp_path, prefix="") as service:
        assert isinstance(service.place, Path)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(service.place))
            step = len(whole) // pieces + 1
            for at in range(0, len(whole), step):
                connection.sendall(whole[at : at + step])
            with http.client.HTTPResponse(connection, method="POST") as answer:
                answer.begin()
                assert b"evil" not in answer.read()
