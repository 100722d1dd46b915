"""What the router says of a request, nobody else can say: not in headers, and not in what comes behind the body."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mfext.testing import wait_until
from tests.integration.mfserv import http2
from tests.integration.mfserv.serv import Serv

FORGED = {
    "X-Metwork-Client": "evil",
    "X-Forwarded-Prefix": "/evil",
    "X-Request-Id": "evil",
    "Authorization": "Basic evil",
    "X-Forwarded-For": "6.6.6.6",
    "X-Other": "evil",
}
ASGI = """
import json

async def app(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    found = {"headers": [[name.decode(), value.decode()] for name, value in scope["headers"]], "size": size}
    found |= {"root": scope["root_path"], "scheme": scope["scheme"], "client": scope["client"], "path": scope["path"]}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})
"""
WSGI = """
import json

def app(environ, start_response):
    size = len(environ["wsgi.input"].read())
    names = {name: value for name, value in environ.items() if isinstance(value, str)}
    headers = [[name[5:].lower().replace("_", "-"), names[name]] for name in names if name.startswith("HTTP_")]
    found = {"headers": headers, "size": size, "root": environ["SCRIPT_NAME"], "scheme": environ["wsgi.url_scheme"]}
    found |= {"client": [environ["REMOTE_ADDR"], 0], "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"]}
    start_response("200 OK", [])
    return [json.dumps(found).encode()]
"""
TORNADO = """
import json
from tornado.web import Application, RequestHandler

class Echo(RequestHandler):
    def post(self):
        asked = self.request
        found = {"headers": [[name.lower(), value] for name, value in asked.headers.get_all()], "size": len(asked.body)}
        found |= {"root": "", "scheme": asked.protocol, "client": [asked.remote_ip, 0], "path": asked.path}
        self.write(json.dumps(found))
    get = post

app = Application([(r"/.*", Echo)])
"""
#: Settings and code of each type of app. Other people's servers take trailers for headers, too.
KINDS = {
    "asgi": ("app = main:app\ninterface = asgi", ASGI),
    "wsgi": ("app = main:app\ninterface = wsgi", WSGI),
    "tornado": ("app = main:app", TORNADO),
    "socket": ("cmd = {PYTHON} -m uvicorn --fd {FD} --log-level warning main:app", ASGI),
    "port": ("cmd = {PYTHON} -m uvicorn --port {PORT} --log-level warning main:app", ASGI),
    "later": ("app = main:app\ninterface = asgi\nasync = only", ASGI),
    "proxy": ("upstream = http://127.0.0.1:@PORT@", ""),
}
#: A server that changes to whatever protocol it is asked for, and takes what follows for requests.
EAGER = """
import http.server, sys

class Eager(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if protocol := self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Connection", "upgrade")
            self.send_header("Upgrade", protocol)
            self.end_headers()
            return
        found = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Eager).serve_forever()
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    """A service elsewhere that takes all lines behind the body for headers."""

    def do_POST(self) -> None:
        size, headers = 0, [[name.lower(), value] for name, value in self.headers.items()]
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while length := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(length + 2)) - 2
            while (line := self.rfile.readline().decode().strip()) != "":
                headers.append([line.partition(":")[0].lower(), line.partition(":")[2].strip()])
        else:
            size = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.send_response(200)
        self.end_headers()
        found = {"headers": headers, "size": size, "root": "", "scheme": "http", "client": ["", 0], "path": self.path}
        self.wfile.write(json.dumps(found).encode())

    def do_GET(self) -> None:
        self.do_POST()

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
def serv(new_serv: Callable[[str], Serv], upstream: int) -> Serv:
    serv = new_serv("")
    for kind, (what, code) in KINDS.items():
        folder = serv.folder / kind
        folder.mkdir()
        write_plugin(folder, what.replace("@PORT@", str(upstream)), code)
        (serv.home.plugins / kind).symlink_to(folder)
    serv.run("metwork", "apply", "mfserv")
    for kind in KINDS:
        wait_until(lambda kind=kind: serv.service.get(f"/{kind}/").status < 300, what=kind)  # type: ignore[misc]
    return serv


def write_plugin(folder: Path, what: str, code: str) -> None:
    (folder / "main.py").write_text(code)
    (folder / "config.ini").write_text(
        f"[general]\nname = {folder.name}\nsummary = {folder.name}\n\n"
        f"[app_main]\n{what}\nworkers = 1\ngraceful_timeout = 2\n"
    )


def by_chunks(serv: Serv, kind: str, pause: float) -> bytes:
    """The answer to a body in chunks with trailers, which come together with the body or after a *pause* in seconds."""
    behind = "".join(f"{name}: {value}\r\n" for name, value in FORGED.items()).encode() + b"\r\n"
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        head = f"POST /{kind}/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"5\r\nhello\r\n0\r\n"
        connection.sendall(head.encode() + (body if pause else body + behind))
        if pause:
            time.sleep(pause)
            connection.sendall(behind)
        with http.client.HTTPResponse(connection, method="POST") as answer:
            answer.begin()
            return answer.read()


FORMS: dict[str, Callable[[Serv, str], bytes]] = {
    "chunks": lambda serv, kind: by_chunks(serv, kind, 0),
    "chunks, trailers later": lambda serv, kind: by_chunks(serv, kind, 0.1),
    "http/2": lambda serv, kind: http2.ask(serv.port, f"/{kind}/x", body=b"hello", trailers=small(FORGED)),
    "http/2, no body": lambda serv, kind: http2.ask(serv.port, f"/{kind}/x", trailers=small(FORGED)),
    "http/2, GET": lambda serv, kind: http2.ask(serv.port, f"/{kind}/x", trailers=small(FORGED), method="GET"),
    "http/2, upgrade": lambda serv, kind: http2.ask(
        serv.port, f"/{kind}/x", {"upgrade": "websocket"}, trailers=small(FORGED)
    ),
    "http/2, length": lambda serv, kind: http2.ask(
        serv.port, f"/{kind}/x", {"content-length": "5"}, b"hello", small(FORGED)
    ),
}


def small(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def told(serv: Serv, answer: bytes) -> dict[str, Any]:
    """What the app was told of the request, which may have become a job."""
    found: dict[str, Any] = json.loads(answer)
    if "jobID" in found:
        place = f"/jobs/{found['jobID']}/results"
        wait_until(lambda: serv.service.get(place).status == 200, what="the job")
        found = serv.service.get(place).json()
        found = found.get("result", found)
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_trailers_never_become_headers(serv: Serv, kind: str, form: str) -> None:
    answer = FORMS[form](serv, kind)
    if not answer and form == "http/2, upgrade":
        return  # it is refused: there is no such header in HTTP/2
    found = told(serv, answer)
    assert "evil" not in json.dumps(found)
    assert "6.6.6.6" not in json.dumps(found)
    assert found["size"] == (5 if "hello" in form or "chunks" in form or form in ("http/2", "http/2, length") else 0)
    if kind == "asgi":
        assert found["root"] == "/asgi"


#: Names by which proxies say something of a request, and values that would be believed.
SAID_BY_PROXIES = {
    "X-Real-IP": "6.6.6.6",
    "X-Scheme": "https",
    "True-Client-IP": "6.6.6.6",
    "X-Client-IP": "6.6.6.6",
    "Client-IP": "6.6.6.6",
    "X-Cluster-Client-IP": "6.6.6.6",
    "X-Forwarded": "for=6.6.6.6",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "evil",
    "X-Forwarded-Host": "evil",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-User": "evil",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-Script-Name": "/evil",
    "Script-Name": "/evil",
    "Forwarded": "for=6.6.6.6;proto=https",
    "Forwarded-For": "6.6.6.6",
    "CF-Connecting-IP": "6.6.6.6",
    "CF-Visitor": "evil",
    "Fastly-Client-IP": "6.6.6.6",
    "Fly-Client-IP": "6.6.6.6",
    "Remote-Addr": "6.6.6.6",
    "X-Remote-User": "evil",
    "Front-End-Https": "evil",
    "X-Url-Scheme": "evil",
    "X-Host": "evil",
    "Proxy": "http://evil",
    "X-Request-Id": "evil",
    "X-Metwork-Client": "evil",
    "X-Metwork-Max-Body": "666666",
}


@pytest.mark.parametrize("between", ["-", "_", "mixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_router_says_who_asks_and_from_where(serv: Serv, kind: str, between: str) -> None:
    forged = {}
    for name, value in SAID_BY_PROXIES.items():
        forged[name.replace("-", "_", 1 if between == "mixed" else 9) if between != "-" else name] = value
    if between != "-":
        forged["X_API_Key" if between == "_" else "X_API-Key"] = "evil"
    answer = serv.service.get(f"/{kind}/x", {**forged, "X-Mine": "kept"})
    found = told(serv, answer.body)
    headers = dict(found["headers"])
    assert headers.pop("x-mine") == "kept"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert found["scheme"] == "http"
    assert not [value for value in forged.values() if value in json.dumps([headers, found["client"], found["root"]])]
    assert headers["x-request-id"]
    if kind == "tornado":
        assert found["client"][0] == "127.0.0.1"


def test_headers_that_no_proxy_says_reach_the_app(serv: Serv) -> None:
    kept = {"X-Mine": "1", "X-Clients": "1", "X-Client-Id": "1", "Proxy-Hint": "1", "Client-Id": "1", "X-Real": "1"}
    headers = dict(told(serv, serv.service.get("/asgi/", kept).body)["headers"])
    assert {name.lower() for name in kept} <= set(headers)


@pytest.mark.parametrize("body", ["chunks", "http/2"])
def test_an_execute_request_may_have_trailers_and_they_are_dropped(serv: Serv, body: str) -> None:
    place, inputs = "/processes/later.main/execution", b'{"inputs": {}}'
    if body == "http/2":
        answer = http2.ask(serv.port, place, {"prefer": "respond-async"}, inputs, small(FORGED))
    else:
        behind = "".join(f"{name}: {value}\r\n" for name, value in FORGED.items()).encode() + b"\r\n"
        head = f"POST {place} HTTP/1.1\r\nHost: a\r\nPrefer: respond-async\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
            connection.sendall(head.encode() + b"%x\r\n%s\r\n0\r\n" % (len(inputs), inputs) + behind)
            with http.client.HTTPResponse(connection, method="POST") as found:
                found.begin()
                answer = found.read()
    assert "evil" not in json.dumps(told(serv, answer))


@pytest.mark.parametrize("protocol", ["h2c", "other", "h2c, websocket", "websocket"])
def test_nothing_passes_the_router_behind_a_change_of_protocol(new_serv: Callable[[str], Serv], protocol: str) -> None:
    serv = new_serv("")
    (serv.folder / "eager").mkdir()
    write_plugin(serv.folder / "eager", "cmd = {PYTHON} main.py {PORT}", EAGER)
    serv.develop(serv.folder / "eager")
    wait_until(lambda: serv.service.get("/eager/").status == 200, what="the app")
    asked = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n"
    asked += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    behind = "".join(f"{name}: {value}\r\n" for name, value in small(FORGED).items() if name.startswith("x-"))
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(f"GET /eager/ HTTP/1.1\r\nHost: a\r\n{asked}\r\n".encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            answer.read()
            assert answer.status == (502 if protocol == "websocket" else 200)
        connection.sendall(f"GET /eager/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{behind}\r\n".encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            found = answer.read().decode().replace("X-Other: evil", "").replace("x-other: evil", "")
    assert "evil" not in found
    assert "6.6.6.6" not in found
