"""HTTP as clients, caches and proxies speak it: hosts with a dot, whole addresses, dates, caches, limits."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from mfext.testing import wait_until
from mfserv.testing import Answer
from tests.integration.mfserv import http2
from tests.integration.mfserv.serv import Serv
from tests.integration.mfserv.test_forgery import ASGI, TORNADO, WSGI

KINDS = {
    "asgi": ("app = main:app\ninterface = asgi", ASGI),
    "wsgi": ("app = main:app\ninterface = wsgi", WSGI),
    "tornado": ("app = main:app", TORNADO),
    "static": ("static = files", ""),
    "host": ("app = main:app\ninterface = asgi\nvirtualhosts = data.example\nroutes = /here", ASGI),
    "cors": ("app = main:app\ninterface = asgi\ncors_origins = https://page.example, https://b.example", ASGI),
    "open": ("app = main:app\ninterface = asgi\ncors_origins = *", ASGI),
}


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    for kind, (what, code) in KINDS.items():
        write(serv.folder / kind, what, code)
        (serv.home.plugins / kind).symlink_to(serv.folder / kind)
    serv.run("metwork", "apply", "mfserv")
    for kind in KINDS:
        path, headers = ("/here/", {"Host": "data.example"}) if kind == "host" else (f"/{kind}/a.txt", {})
        wait_until(lambda p=path, h=headers: serv.service.get(p, h).status == 200, what=kind)  # type: ignore[misc]
    return serv


def write(folder: Path, what: str, code: str) -> None:
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "a.txt").write_text("hello")
    (folder / "main.py").write_text(code)
    (folder / "config.ini").write_text(
        f"[general]\nname = {folder.name}\nsummary = {folder.name}\n\n"
        f"[app_main]\n{what}\nworkers = 1\ngraceful_timeout = 2\n"
    )


def raw(serv: Serv, head: str) -> Answer:
    """The answer to a request whose lines are given."""
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


@pytest.mark.parametrize("host", ["data.example", "data.example.", "DATA.Example.", "data.example.:8080"])
def test_a_dot_behind_the_name_of_a_host_is_none_of_it(serv: Serv, host: str) -> None:
    assert serv.service.get("/here/", {"Host": host}).status == 200


def test_another_host_is_another_one(serv: Serv) -> None:
    for host in ("data.example.org", "xdata.example", "example."):
        assert serv.service.get("/here/", {"Host": host}).status == 404


@pytest.mark.parametrize("kind", ["asgi", "wsgi", "tornado", "static"])
@pytest.mark.parametrize("scheme", ["http", "HTTP", "https"])
def test_a_whole_address_is_that_of_its_path(serv: Serv, kind: str, scheme: str) -> None:
    answer = raw(serv, f"GET {scheme}://data.example/{kind}/a.txt?x=1 HTTP/1.1\r\nHost: data.example")
    assert answer.status == 200
    if kind == "static":
        assert answer.body == b"hello"
    else:
        prefix = "" if kind == "tornado" else f"/{kind}"
        assert json.loads(answer.body)["path"] == f"{prefix}/a.txt"


def test_a_whole_address_may_end_with_its_host(serv: Serv) -> None:
    for address in ("http://data.example", "http://data.example/", "http://data.example/here"):
        found = raw(serv, f"GET {address} HTTP/1.1\r\nHost: data.example")
        assert found.status == 200, address


@pytest.mark.parametrize(
    "path", ["/asgi/", "/wsgi/", "/tornado/", "/static/a.txt", "/static/none", "/", "/none", "/__health", "/metrics"]
)
def test_each_answer_has_one_date(serv: Serv, path: str) -> None:
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            dates = answer.headers.get_all("date") or []
    assert len(dates) == 1
    assert parsedate_to_datetime(dates[0]).tzinfo is not None
    assert dates[0].endswith(" GMT")


@pytest.mark.parametrize("path", ["/cors/", "/cors/none", "/open/"])
@pytest.mark.parametrize("origin", ["", "https://page.example", "https://bad.example"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_answers_of_an_app_for_pages_vary_by_origin(serv: Serv, path: str, origin: str, method: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"} if origin else {}
    answer = serv.service.ask(method, path, asked)
    assert answer.headers["vary"].lower() == "origin"


def test_other_apps_do_not_vary(serv: Serv) -> None:
    assert "vary" not in serv.service.get("/asgi/", {"Origin": "https://page.example"}).headers


@pytest.mark.parametrize("path", ["/", "/__health", "/__health/asgi.main", "/__metrics", "/metrics", "/static/a.txt"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_what_can_only_be_read_says_so(serv: Serv, path: str, method: str) -> None:
    answer = serv.service.ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/asgi/", {"X-Long": "x" * 13_900}, 200),
        ("/asgi/", {"X-Long": "x" * 15_000}, 431),
        ("/asgi/", {"X-Long": "x" * 29_000}, 431),
        ("/asgi/", {f"X-{number}": "x" * 100 for number in range(95)}, 200),
        ("/asgi/", {f"X-{number}": "x" * 200 for number in range(95)}, 431),
        ("/asgi/" + "x" * 13_000, {}, 200),
        ("/asgi/" + "x" * 15_000, {}, 414),
        ("/asgi/?" + "x" * 28_000, {}, 414),
        ("/asgi/?" + "x" * 10_000, {"X-Long": "x" * 10_000}, 414),
    ],
)
def test_what_is_too_long_is_named(serv: Serv, path: str, headers: dict[str, str], status: int) -> None:
    answer = serv.service.get(path, headers)
    assert answer.status == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.headers["x-request-id"]


def test_a_body_beside_a_short_head_is_no_long_head(serv: Serv) -> None:
    assert serv.service.post("/asgi/", b"x" * 29_000).json()["size"] == 29_000


def test_http_2_is_asked_as_before(serv: Serv) -> None:
    found = json.loads(http2.ask(serv.port, "/asgi/a?x=1", body=b"hello"))
    assert (found["path"], found["size"]) == ("/asgi/a", 5)
