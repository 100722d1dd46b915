"""Workers that stand still, or that do not leave: they are seen, named, killed and replaced, and others are served."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def running(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    serv.develop(serv.plugin("still", code=CODE, stalled_after="2", workers="1", timeout="1"))
    serv.develop(serv.plugin("leaver", code=CODE, stalled_after="0", workers="1", graceful_timeout="1", timeout="1"))
    serv.develop(serv.plugin("busy", code=CODE, stalled_after="4", workers="1"))
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


@pytest.mark.parametrize("what", ["block", "thread"])
def test_a_reload_ends_in_a_kill_when_a_worker_does_not_leave(running: Serv, what: str) -> None:
    (pid,) = running.pids("app.leaver.main.0")
    assert running.service.get(f"/leaver/{what}").status in (200, 504, 502)
    assert "1 worker(s) replaced" in running.run("mfserv.reload", "leaver")
    assert running.pids("app.leaver.main.0") != [pid]
    assert running.service.get("/leaver/").body == b"short"
