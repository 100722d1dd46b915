"""Who comes first when there is too much to do, and what is counted while the router changes."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable

import pytest

from mfext.testing import wait_until
from mfserv.testing import Answer
from tests.integration.mfserv.load import load
from tests.integration.mfserv.serv import Serv, free_port
from tests.integration.mfserv.workers.test_registration import write

CONFIG = """
[client_batch]
keys = key-batch
class = batch
[client_slow]
keys = key-slow
rate = 20/60s
"""
BATCH = {"X-API-Key": "key-batch"}


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    serv.configure(CONFIG)
    for name, delay, more in (("fast", 0.0, {}), ("long", 0.4, {"max_queue": "2"})):
        settings: dict[str, str] = {"concurrency": "4", **more}
        folder = write(serv, name, delay=delay, **settings)
        (serv.home.plugins / name).symlink_to(folder)
    serv.run("metwork", "apply", "mfserv")
    return serv


@pytest.fixture(scope="module", autouse=True)
def applied(serv: Serv) -> float:
    """When the router had its first configuration, by the monotonic clock."""
    return time.monotonic()


@pytest.fixture
def teaching(serv: Serv, applied: float) -> Serv:
    """One whose router can teach its counters to the next: a router that was taught nothing cannot for ten seconds."""
    wait_until(lambda: time.monotonic() > applied + 10.5, what="the router is old enough")
    return serv


def test_batch_leaves_places_to_others_and_is_refused_when_too_much_waits(serv: Serv) -> None:
    with load(serv.port, "/long/", clients=12, headers=BATCH) as batch:
        wait_until(lambda: batch.good > 6, what="batch is served")
        assert {serv.service.get("/long/").status for _ in range(6)} == {200}
        refused = wait_until(lambda: batch.bad, what="some are refused")
    assert set(refused) == {429}
    kind = ("long.main", "interactive")
    wait_until(lambda: [(one["app"], one["class"]) for one in serv.access()].count(kind) == 6, what="all in the log")
    queued = sorted(one["queued_ms"] for one in serv.access() if (one["app"], one["class"]) == kind)
    assert queued[3] < 50, f"a place is free at once, and the others are for 400 ms: {queued}"


def test_what_is_counted_survives_a_reload(teaching: Serv) -> None:
    serv = teaching
    key = {"X-API-Key": "key-slow"}
    assert {serv.service.get("/fast/", key).status for _ in range(15)} == {200}
    serv.configure(CONFIG + "[client_new]\nkeys = key-new\n")
    serv.run("metwork", "apply", "mfserv")
    answers = [serv.service.get("/fast/", key).status for _ in range(10)]
    assert (answers.count(200), answers.count(429)) == (5, 5)


def test_a_client_of_twice_its_rate_gets_its_rate_over_a_reload_as_well(teaching: Serv) -> None:
    serv = teaching
    serv.configure(CONFIG.replace("20/60s", "30/2s"))
    serv.run("metwork", "apply", "mfserv")
    serv.configure(CONFIG.replace("20/60s", "30/2s") + "[client_newer]\nkeys = key-newer\n")
    reload = threading.Thread(target=serv.run, args=("metwork", "apply", "mfserv"))
    good, asked, begin = list[float](), 0, time.monotonic()
    while (passed := time.monotonic() - begin) < 8:
        if passed > 4 and not reload.ident:
            reload.start()
        if asked < passed * 30:
            asked += 1
            if serv.service.get("/fast/", {"X-API-Key": "key-slow"}).status == 200:
                good.append(passed)
        else:
            time.sleep(0.005)
    reload.join()
    # The first period also gives what was saved up before; what counts is the pace after it. A router that had
    # forgotten the client would give it 30 more.
    after = [moment for moment in good if moment >= 2]
    assert len(after) == pytest.approx((passed - 2) * 15, abs=10)


def problem(answer: Answer) -> int:
    """The status of an answer of the router's own (RFC 9457), by which its line in the access log is found."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.headers["x-request-id"]) == 36
    assert answer.json()["status"] == answer.status
    assert answer.json()["title"]
    return answer.status


def test_an_app_that_takes_too_long_is_given_up(serv: Serv) -> None:
    folder = write(serv, "stuck", delay=5, timeout=0.5)
    serv.develop(folder)
    assert problem(serv.service.get("/stuck/")) == 504
    assert serv.service.get("/fast/").status == 200


def test_who_sends_slowly_holds_no_worker(serv: Serv) -> None:
    serv.configure(CONFIG)
    text = (serv.home.config / "config.ini").read_text()
    (serv.home.config / "config.ini").write_text(
        text.replace("[http]\n", "[http]\nheader_timeout = 1\nbody_timeout = 2\n")
    )
    serv.run("metwork", "apply", "mfserv")
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(b"POST /fast/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
        assert b" 408 " in (answer := connection.recv(4096))
        title = {"title": "the request did not come in time", "status": 408}
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == title
        assert b"x-request-id: " in answer
    assert 0.5 < time.monotonic() - begin < 9.5, "without the keys it takes thirty"
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(b"GET /fast/ HTTP/1.1\r\nHost:")
        assert b" 408 " in connection.recv(4096)


def test_a_byte_of_the_headers_now_and_then_does_not_hold_a_connection(serv: Serv) -> None:
    with socket.create_connection(("127.0.0.1", serv.port), timeout=60) as connection:
        connection.sendall(b"GET /fast/ HTTP/1.1\r\nX: ")
        connection.settimeout(0.1)
        answer = b""
        for _ in range(200):
            try:
                answer = connection.recv(4096)
                break
            except TimeoutError:
                connection.sendall(b"x")
    assert b" 408 " in answer


RUBBISH = """
import socket
listening = socket.socket(fileno=3)
while True:
    connection = listening.accept()[0]
    connection.recv(65536)
    connection.sendall(b"this is no HTTP\\r\\n\\r\\n")
    connection.close()
"""


def test_an_app_that_answers_rubbish_hurts_nobody_else(serv: Serv) -> None:
    folder = write(serv, "rubbish")
    config = (folder / "config.ini").read_text().replace("app = main:app\ninterface = asgi", "cmd = {PYTHON} serve.py")
    (folder / "config.ini").write_text(config)
    (folder / "serve.py").write_text(RUBBISH)
    serv.develop(folder)
    assert problem(serv.service.get("/rubbish/")) == 502
    assert serv.service.get("/fast/").status == 200


def test_a_service_elsewhere_that_is_away_is_told_of(serv: Serv) -> None:
    folder = write(serv, "away")
    config = (folder / "config.ini").read_text()
    settings = f"upstream = http://127.0.0.1:{free_port()}"
    (folder / "config.ini").write_text(config.replace("app = main:app\ninterface = asgi", settings))
    serv.develop(folder)
    assert problem(answer := serv.service.get("/away/")) == 503
    assert answer.headers["retry-after"] == "5"


def test_an_app_that_is_never_healthy_is_told_of(serv: Serv) -> None:
    folder = write(serv, "ill", health="/health")
    (folder / "main.py").write_text((folder / "main.py").read_text().replace('"status": 200', '"status": 500'))
    serv.configure(CONFIG + "[supervisor]\nstart_timeout = 2\n")
    done = serv.try_to("plugins.develop", ".", folder=folder)
    assert done.returncode == 5
    assert "app.ill.main.0: not ready yet" in done.stderr
    assert serv.service.get("/fast/").status == 200
    serv.run("plugins.uninstall", "ill")


def test_the_router_tells_how_it_is_however_often_it_is_asked(serv: Serv) -> None:
    serv.configure(f"{CONFIG}[limits]\nanonymous_rate = 2/60s\naddress_rate = 3/60s\n")
    serv.run("metwork", "apply", "mfserv")
    wait_until(lambda: serv.service.get("/fast/").status == 429, what="the rate")
    for path in ("/__health", "/__health/fast.main", "/__metrics", "/metrics", "/__metrics/haproxy"):
        assert {serv.service.get(path).status for _ in range(4)} == {200}
    assert serv.service.get("/__health/nothing").status == 404
    assert serv.service.get("/nothing").status == 404


def test_an_app_may_have_a_page_of_metrics_of_its_own(serv: Serv) -> None:
    serv.configure(CONFIG)
    serv.run("metwork", "apply", "mfserv")
    folder = write(serv, "own", routes="/metrics", auth="required")
    serv.develop(folder)
    assert serv.service.get("/metrics").status == 401
    assert serv.service.get("/__metrics").status == 200
    (folder / "config.ini").write_text((folder / "config.ini").read_text().replace("/metrics", "/"))
    serv.run("metwork", "apply", "mfserv")
    wait_until(lambda: serv.service.get("/anything").status == 401, what="the route of everything")
    assert serv.service.get("/metrics").status == 401
    assert [serv.service.get(path).status for path in ("/__metrics", "/__health")] == [200, 200]
