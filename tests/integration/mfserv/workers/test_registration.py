"""No request is lost while workers change, die or are replaced, and nobody else is hurt."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfserv.load import Load, load
from tests.integration.mfserv.serv import Serv

CODE = """
import asyncio, json, os

VERSION = {version!r}

async def app(scope, receive, send):
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep({delay})
    body = json.dumps({{"version": VERSION, "pid": os.getpid()}}).encode()
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}})
    await send({{"type": "http.response.body", "body": body}})
"""


@pytest.fixture(scope="module")
def running(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    write(serv, "two", workers=2)
    write(serv, "one", workers=1)
    for name in ("two", "one"):
        serv.develop(serv.folder / name)
    return serv


def write(serv: Serv, name: str, version: str = "1", delay: float = 0.005, **settings: object) -> Path:
    folder = serv.folder / name
    folder.mkdir(exist_ok=True)
    lines = [f"{key} = {value}" for key, value in {"app": "main:app", "interface": "asgi", **settings}.items()]
    (folder / "config.ini").write_text(
        f"[general]\nname = {name}\nsummary = {name}\n\n[app_main]\n" + "\n".join(lines) + "\n"
    )
    (folder / "main.py").write_text(CODE.format(version=version, delay=delay))
    return folder


def served(serv: Serv, name: str) -> str:
    return str(serv.service.get(f"/{name}/").json()["version"])


def grown(requests: Load, number: int = 200) -> None:
    """Let *number* more requests be answered."""
    goal = requests.good + number
    wait_until(lambda: requests.good >= goal, what="requests are answered")


@pytest.mark.parametrize(("name", "method"), [("two", "GET"), ("one", "POST")])
def test_new_code_is_taken_under_load_without_a_request_lost(running: Serv, name: str, method: str) -> None:
    with load(running.port, f"/{name}/", method=method) as requests:
        grown(requests)
        write(running, name, version=f"new {method}", workers=2 if name == "two" else 1)
        running.run("metwork", "apply", "mfserv")
        wait_until(lambda: served(running, name) == f"new {method}", what="the new version answers")
        grown(requests)
    assert requests.bad == {}


def test_more_and_fewer_workers_come_and_go_under_load(running: Serv) -> None:
    with load(running.port, "/two/") as requests:
        for workers in (3, 1, 2):
            write(running, "two", workers=workers)
            running.run("metwork", "apply", "mfserv")
            grown(requests, 100)
    assert requests.bad == {}


def test_a_killed_worker_loses_no_request_that_may_be_sent_again(running: Serv) -> None:
    with load(running.port, "/two/") as requests:
        for slot in (0, 1):
            process = f"app.two.main.{slot}"
            (pid,) = wait_until(lambda process=process: running.pids(process), what=process)  # type: ignore[misc]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda process=process, pid=pid: set(running.pids(process)) - {pid}, what="another one")  # type: ignore[misc]
            grown(requests, 100)
    assert requests.bad == {}


def test_the_death_of_the_holder_of_the_sockets_is_not_felt(running: Serv) -> None:
    with load(running.port, "/one/") as requests:
        (pid,) = running.pids("sockets")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(running.pids("sockets")) - {pid}, what="another holder")
        write(running, "one", version="after")
        running.run("metwork", "apply", "mfserv")
        wait_until(lambda: served(running, "one") == "after", what="the new version answers")
    assert requests.bad == {}


def test_a_killed_router_is_back_by_itself(running: Serv) -> None:
    (pid,) = running.pids("router")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: set(running.pids("router")) - {pid}, what="another router")
    assert served(running, "one")


def test_an_app_that_dies_at_once_is_told_of_and_others_go_on(running: Serv) -> None:
    folder = write(running, "broken")
    (folder / "main.py").write_text("raise SystemExit('no such thing')\n")
    done = running.try_to("plugins.develop", ".", folder=folder)
    assert done.returncode != 0
    assert "no such thing" in done.stderr
    assert served(running, "one")
    answer = wait_until(lambda: running.service.get("/broken/"), what="an answer")
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    running.run("plugins.uninstall", "broken")
    assert running.service.get("/broken/").status == 404


def test_two_plugins_with_one_route_are_told_by_their_names(running: Serv) -> None:
    folder = write(running, "copycat", routes="/one")
    done = running.try_to("plugins.develop", ".", folder=folder)
    assert done.returncode == 3
    assert "one.main" in done.stderr
    assert "copycat.main" in done.stderr
    assert served(running, "one")
