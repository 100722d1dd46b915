"""What operators see of apps, and what they may do with one of them while the others go on."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mfext.testing import wait_until
from mfserv.commands.app_status import router_counts
from mfserv.router.admin_socket import RouterLink
from tests.integration.mfserv.load import load
from tests.integration.mfserv.serv import Serv
from tests.integration.mfserv.workers.test_registration import grown, write


@pytest.fixture(scope="module")
def running(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    for name, workers in (("two", 2), ("one", 1)):
        serv.develop(write(serv, name, workers=workers))
    return serv


def state_of(serv: Serv, app: str) -> dict[str, Any]:
    (found,) = [one for one in serv.ask("mfserv.apps") if one["app"] == f"{app}.main"]
    return dict(found)


def test_workers_are_replaced_under_load_without_a_request_lost(running: Serv) -> None:
    before = running.pids("app.two.main.0") + running.pids("app.two.main.1")
    others = running.pids("app.one.main.0")
    with load(running.port, "/two/", method="POST") as requests:
        grown(requests, 50)
        assert running.run("mfserv.reload", "two") == "2 worker(s) replaced\n"
        assert json.loads(running.run("mfserv.reload", "two", "--json")) == {
            "apps": ["two.main"],
            "workers_replaced": 2,
        }
        grown(requests, 50)
    assert requests.bad == {}
    assert not set(before) & set(running.pids("app.two.main.0") + running.pids("app.two.main.1"))
    assert running.pids("app.one.main.0") == others
    assert "two.main" in running.try_to("mfserv.reload", "two.mian").stderr


def test_an_operator_sees_versions_workers_and_traffic_of_an_app(running: Serv) -> None:
    with load(running.port, "/two/") as requests:
        grown(requests, 50)
    found = wait_until(lambda: (one := state_of(running, "two"))["rate"] and one, what="traffic is told of")
    assert (found["state"], found["ready"], found["in_router"], found["failed"]) == ("running", 2, 2, 0)
    assert found["p95_ms"] >= 5
    assert found["answered"]["2xx"] >= 50
    assert [(one["slot"], one["state"], len(one["pids"]), one["version"]) for one in found["slots"]] == [
        (slot, "running", 1, found["version"]) for slot in (0, 1)
    ]
    table = running.run("mfserv.apps")
    assert all(word in table for word in ("two.main", "P95 MS", "RATE", found["version"]))


def test_an_operator_sees_why_an_app_does_not_run(running: Serv) -> None:
    folder = write(running, "broken")
    (folder / "main.py").write_text("raise SystemExit('no such model')\n")
    running.try_to("plugins.develop", ".", folder=folder)
    found = wait_until(lambda: (one := state_of(running, "broken"))["state"] == "failing" and one, what="it fails")
    assert any("no such model" in line for line in found["slots"][0]["said"])
    assert "    | no such model" in running.run("mfserv.apps")
    running.run("plugins.uninstall", "broken")


def test_a_killed_worker_is_back_while_another_app_still_drains(running: Serv) -> None:
    folder, enough = write(running, "slow", graceful_timeout=200, timeout=200), running.folder / "enough"
    waits = f"while not os.path.exists({str(enough)!r}):\n        await asyncio.sleep(0.01)"
    (folder / "main.py").write_text((folder / "main.py").read_text().replace("await asyncio.sleep(0.005)", waits))
    running.develop(folder)
    link, answers = RouterLink(running.home), list[int]()
    asking = threading.Thread(target=lambda: answers.append(running.service.get("/slow/").status))
    asking.start()
    wait_until(lambda: link.sessions("app.slow.main/s0"), what="it works")
    (pid,) = running.pids("app.one.main.0")
    write(running, "slow", version="2", graceful_timeout=200, timeout=200)  # dev-linked: its worker is replaced
    wait_until(lambda: "MAINT" in router_counts(link)["app.slow.main", "s0"]["status"], what="it drains")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: set(running.pids("app.one.main.0")) - {pid}, what="the other one is back")
    assert answers == []  # what the first one has in hand is not answered yet
    enough.touch()
    asking.join(60)
    assert answers == [200]
