"""Who is let in, how often, in which order; and what the router does with what it should not get."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mfext.testing import wait_until
from mfserv.router.limits import rate
from mfserv.testing import Service
from tests.certificates import both, put
from tests.integration.mfserv.load import load
from tests.integration.mfserv.serv import Serv, free_port
from tests.integration.mfserv.workers.test_registration import write

CONFIG = """address = 127.0.0.1, [::1]
[jwt_main]
algorithm = HS256
secret = hemlig-och-sa-lang-som-den-ska-vara
issuer = https://issuer
[client_one]
keys = key-one
[client_two]
keys = key-two
subjects = subject-two
class = batch
[client_slow]
keys = key-slow
rate = 4/4s
[tls]
certificate = {folder}/certificate.pem
port = {port}
"""
ECHO = """
import json

async def app(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps({"path": scope["path"], "headers": headers, "size": size, "scheme": scope["scheme"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv], tmp_path_factory: pytest.TempPathFactory, tls_port: int) -> Serv:
    folder = tmp_path_factory.mktemp("tls")
    put(folder / "certificate.pem", both("first.example"))
    serv = new_serv(CONFIG.format(folder=folder, port=tls_port))
    for name, settings in {
        "echo": {"cors_origins": "https://page.example", "max_body": 1000},
        "inner": {"auth": "required"},
        "own": {"auth": "required", "clients": "one"},
        "few": {"rate": "3/60s"},
        "host": {"virtualhosts": "data.example", "routes": "/echo"},
    }.items():
        made = write(serv, name, **settings)  # type: ignore[arg-type]
        (made / "main.py").write_text(ECHO)
        link = serv.home.plugins / name
        link.symlink_to(made)
    serv.run("metwork", "apply", "mfserv")
    wait_until(lambda: serv.service.get("/host/").status == 404, what="the router")
    wait_until(lambda: serv.service.get("/echo/").status == 200, what="the apps")
    return serv


SECRET = "hemlig-och-sa-lang-som-den-ska-vara"


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> dict[str, str]:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"sub": "subject-two", "iss": "https://issuer", "exp": int(time.time()) + 86_400, **claims}
    text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    digest = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
    return {"Authorization": f"Bearer {text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"}


def test_the_app_learns_who_asks_from_the_router_alone(serv: Serv) -> None:
    forged = {
        "X-Metwork-Class": "interactive",
        "X-Metwork-Client": "root",
        "X-Metwork-Job": "1",
        "X-Request-Id": "mine",
    }
    answer = serv.service.get("/echo/a/b?c=d", {"X-API-Key": "key-two", "X-Forwarded-For": "192.0.2.1", **forged})
    told = answer.json()["headers"]
    assert (told["x-metwork-client"], told["x-metwork-class"]) == ("two", "batch")
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert "x-metwork-job" not in told
    assert "x-api-key" not in told
    assert told["x-request-id"] == answer.headers["x-request-id"] != "mine"
    assert answer.json()["path"] == "/echo/a/b"


def test_each_request_has_a_line_in_the_access_log(serv: Serv) -> None:
    answer = serv.service.get('/echo/"quoted"?x=1', {"X-API-Key": "key-one", "User-Agent": 'a "b"'})
    mine = {"id": answer.headers["x-request-id"]}
    line = wait_until(lambda: next((one for one in serv.access() if one["id"] == mine["id"]), None), what="the line")
    assert line is not None
    assert (line["client"], line["class"], line["app"], line["status"]) == ("one", "interactive", "echo.main", 200)
    assert (line["uri"], line["agent"]) == ('/echo/"quoted"?x=1', 'a "b"')


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/inner/", {}, 401),
        ("/inner/", {"X-API-Key": "key-one"}, 200),
        ("/inner/", {"X-API-Key": "no such key"}, 401),
        ("/echo/", {"X-API-Key": "no such key"}, 401),
        ("/echo/", {"X-API-Key": ""}, 401),
        ("/echo/", {"Authorization": "Bearer"}, 401),
        ("/own/", {"X-API-Key": "key-one"}, 200),
        ("/own/", {"X-API-Key": "key-two"}, 403),
        ("/own/", {}, 401),
        ("/nothing", {}, 404),
        ("/echoes", {}, 404),
        ("/__health", {}, 200),
        ("/__health/echo.main", {}, 200),
        ("/__health/nothing", {}, 404),
        ("/__metrics", {}, 200),
    ],
)
def test_who_is_let_in(serv: Serv, path: str, headers: Mapping[str, str], status: int) -> None:
    assert serv.service.get(path, headers).status == status


@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        (token(), 200),
        (token(sub="somebody else"), 401),
        (token(sub="somebody-else"), 200),
        (token(exp=int(time.time()) - 10), 401),
        (token(exp="tomorrow"), 401),
        (token(nbf=int(time.time()) + 80_000), 401),
        (token(iss="https://another"), 401),
        (token(secret="guessed"), 401),
        (token(algorithm="none"), 401),
        (token(algorithm="HS512"), 401),
        ({"Authorization": "Bearer rubbish"}, 401),
        ({"Authorization": "Bearer "}, 401),
    ],
)
def test_which_tokens_are_good(serv: Serv, bearer: Mapping[str, str], status: int) -> None:
    assert serv.service.get("/inner/", bearer).status == status


def test_the_subject_of_a_token_is_the_client(serv: Serv) -> None:
    assert serv.service.get("/echo/", token()).json()["headers"]["x-metwork-client"] == "two"
    stranger = serv.service.get("/echo/", token(sub="stranger"))
    assert stranger.json()["headers"]["x-metwork-client"] == "jwt:main:stranger"


def test_a_host_of_its_own_comes_first(serv: Serv) -> None:
    told = serv.service.get("/echo/", {"Host": "DATA.example:80"}).json()
    assert told["headers"]["host"] == "DATA.example:80"
    wait_until(lambda: any(one["app"] == "host.main" for one in serv.access()), what="host.main in the log")


def test_pages_of_named_origins_may_call(serv: Serv) -> None:
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    before = serv.service.ask("OPTIONS", "/echo/", asked)
    assert (before.status, before.headers["access-control-allow-origin"]) == (204, "https://page.example")
    assert serv.service.get("/echo/", asked).headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in serv.service.get("/echo/", {"Origin": "https://bad.example"}).headers


def test_bodies_have_an_end(serv: Serv) -> None:
    assert serv.service.post("/echo/", b"x" * 1000).json()["size"] == 1000
    assert serv.service.post("/echo/", b"x" * 1001).status == 413
    endless = (
        b"POST /echo/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"
    )
    assert b" 413 " in raw(serv.port, endless + b"0\r\n\r\n")


def test_what_is_no_request_is_refused(serv: Serv) -> None:
    assert b" 400 " in raw(serv.port, b"RUBBISH\r\n\r\n")
    assert b" 400 " in raw(serv.port, b"GET /echo/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Long": "x" * 13_000}, 200),
        ({"X-Long": "x" * 15_000}, 431),
        ({"Connection": "close, X-Metwork-Client"}, 400),  # or somebody behind the router would remove it
        ({"Connection": "X-Request-ID"}, 400),
        ({"Connection": "close"}, 200),
        ({"X_Metwork_Client": "root", "X-Metwork-client": "root"}, 200),
        ({"Transfer-Encoding": "xchunked"}, 400),
        ({"Content-Length": "3, 4"}, 400),
    ],
)
def test_headers_that_a_client_may_send(serv: Serv, headers: Mapping[str, str], status: int) -> None:
    answer = serv.service.get("/echo/", headers)
    assert answer.status == status
    if status == 200:
        assert answer.json()["headers"]["x-metwork-client"] == "address:127.0.0.1"


def test_a_request_in_the_body_of_another_is_none(serv: Serv) -> None:
    outer = b"POST /echo/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 40\r\n"
    answer = raw(
        serv.port, outer + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /inner/ HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"size": 0' in answer


def raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        return connection.recv(4096)


def test_a_client_gets_its_rate_and_is_told_when_to_come_back(serv: Serv) -> None:
    key = {"X-API-Key": "key-slow"}
    answers = [serv.service.get("/echo/", key) for _ in range(6)]
    assert Counter(answer.status for answer in answers) == {200: 4, 429: 2}
    assert answers[0].headers["ratelimit-policy"] == '"client";q=4;w=4'
    assert answers[0].headers["ratelimit"].startswith('"client";r=3;')
    wanted = rate("4/4s")
    assert wanted is not None
    assert answers[-1].headers["retry-after"] == str(wanted.wait)
    assert serv.service.get("/echo/", {"X-API-Key": "key-one"}).status == 200  # nobody else feels it
    time.sleep(wanted.wait)
    assert serv.service.get("/echo/", key).status == 200


def test_an_app_has_limits_of_its_own(serv: Serv) -> None:
    assert [serv.service.get("/few/").status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert serv.service.get("/few/", {"X-API-Key": "key-one"}).status == 200


def test_https_speaks_http_2(serv: Serv, tls_port: int) -> None:
    url = f"https://127.0.0.1:{tls_port}/echo/"
    found = subprocess.run(["curl", "-sk", "--http2", "-w", "%{http_version}", url], capture_output=True, text=True)
    body, version = found.stdout[:-1], found.stdout[-1]
    assert version == "2"
    assert (json.loads(body)["headers"]["x-forwarded-proto"], json.loads(body)["scheme"]) == ("https", "https")


def test_a_new_certificate_is_taken_without_a_connection_lost_and_a_bad_one_is_not(serv: Serv, tls_port: int) -> None:
    def shown() -> Mapping[str, object]:
        return dict(json.loads(serv.try_to("mfserv.status", "--json").stdout)["more"]["certificate"][0])

    def name() -> str:
        asked = subprocess.run(["curl", "-skv", f"https://127.0.0.1:{tls_port}/echo/"], capture_output=True, text=True)
        return asked.stderr

    file = Path(str(shown()["file"]))
    assert 2 < float(str(shown()["days_left"])) <= 3
    assert shown()["state"] == "ends soon"
    with load(serv.port, "/echo/", clients=2) as plain, load(tls_port, "/echo/", clients=2, tls=True) as shut:
        put(file, both("ended.example", begin=-9, end=-1))
        wait_until(lambda: "is refused" in str(shown()["state"]), what="the refusal")
        status = serv.try_to("mfserv.status", "--json")
        assert status.returncode == 1
        (problem,) = json.loads(status.stdout)["problems"]
        assert problem.startswith(f"the new certificate is refused, the router goes on with a former one: {file}: ")
        assert shown()["file"] == str(serv.home.var / "router" / "certificate.pem")
        wait_until(lambda: "ended.example" not in name() and "is not taken" in router_log(serv), what="its log")
        assert "the certificate ended on" in router_log(serv)
        done = serv.try_to("metwork", "apply", "mfserv")
        assert (done.returncode, "config.ini:18 [tls] certificate: " in done.stderr) == (3, True)
        put(file, both("second.example"))
        wait_until(lambda: "CN=second.example" in name(), what="the new certificate")
        more = shut.good + 20
        wait_until(lambda: shut.good > more, what="requests through it")
    assert (plain.bad, shut.bad) == ({}, {})
    assert shown()["state"] == "ends soon"


def router_log(serv: Serv) -> str:
    return "".join(path.read_text() for path in serv.home.log.glob("router*"))


def test_the_router_listens_on_ipv6_too(serv: Serv) -> None:
    assert Service(("::1", serv.port)).get("/echo/").json()["headers"]["x-metwork-client"] == "address:::1"
    assert f"[::1]:{serv.port}" in serv.ask("mfserv.status")["more"]["router"]


def test_what_is_configured_can_be_looked_at(serv: Serv) -> None:
    routes = {(one["host"], one["route"]): one["app"] for one in serv.ask("mfserv.routes")}
    assert routes["data.example", "/echo"] == "host.main"
    assert routes["*", "/echo"] == "echo.main"
    clients = {one["client"]: one for one in serv.ask("mfserv.clients")}
    assert (clients["slow"]["rate"], clients["two"]["class"]) == ("4/4s", "batch")
    assert {one["app"]: one["in_router"] for one in serv.ask("mfserv.apps")}["echo.main"] == 1
    places = {(one["app"], one["class"]): one["places"] for one in serv.ask("mfserv.limits")}
    assert (places["echo.main", "interactive"], places["echo.main", "batch"]) == (32, 24)
    assert "key-one" not in serv.run("metwork", "config", "show")


def test_a_port_in_use_is_told(serv: Serv, tmp_path: Path) -> None:
    other = Serv(tmp_path)
    other.port = serv.port
    other.configure()
    done = other.try_to("mfserv.start")
    other.try_to("mfserv.stop")
    assert done.returncode == 6
    assert f"port {serv.port} of 127.0.0.1 is in use" in done.stderr
