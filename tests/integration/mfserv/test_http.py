"""HTTP as clients speak it, through the router, for every kind of app: forms of a request, methods, dates."""

from __future__ import annotations

import socket
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest

from tests.integration.mfserv.serv import Serv

KINDS = ("asgi", "wsgi", "tornado", "static")


@pytest.fixture(scope="module")
def running(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    for kind in KINDS:
        serv.develop(serv.plugin(f"p{kind}", template=kind, workers="1"))
    return serv


def said(serv: Serv, request: str) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to *request*, the first line of it."""
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    lines = answer.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_may_have_the_whole_address(running: Serv, kind: str) -> None:
    assert said(running, f"GET http://h/p{kind}/")[0] == 200
    assert said(running, f"GET /p{kind}/")[0] == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_with_a_nul_is_not_found(running: Serv, kind: str) -> None:
    assert said(running, f"GET /p{kind}/a%00b")[0] == 404


@pytest.mark.parametrize("path", ["/", "/nothing", "/__health", *(f"/p{kind}/" for kind in KINDS)])
def test_every_answer_has_a_date(running: Serv, path: str) -> None:
    assert parsedate_to_datetime(said(running, f"GET {path}")[1]["date"])


@pytest.mark.parametrize("path", ["/", "/__health", "/__metrics", "/pstatic/"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_a_method_that_is_not_for_a_place_is_refused_with_those_that_are(running: Serv, method: str, path: str) -> None:
    status, headers = said(running, f"{method} {path}")
    assert (status, headers["allow"]) == (405, "get, head")
