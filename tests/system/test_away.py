"""A server that goes away and comes back, seen from a whole module: nothing is lost, nobody storms."""

from __future__ import annotations

import time
from pathlib import Path

from mfdata.storage.trace import events
from mfext.testing import wait_until
from tests.integration.mfdata.ftp_server import PASSWORD, USER, Server
from tests.system.conftest import Flow

FILES = 60


def test_files_wait_for_a_server_that_is_away_without_using_up_their_tries(flow: Flow, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    with Server(machine) as server:
        port = server.port
        account = {"machine": "127.0.0.1", "port": str(port), "user": USER, "passwd": PASSWORD}
        wait = {"breaker_failures": "3", "breaker_min_wait": "0.5", "breaker_max_wait": "1"}
        processes = {"step_main.numprocesses": "3", "step_main.retry_total": "4", "step_main.retry_min_wait": "0"}
        flow.plugin("send", "ftpsend", switch_logical_condition="True", **account, **wait, **processes)
        for number in range(FILES):
            flow.drop(f"before{number}", b"%d" % number)
        wait_until(flow.is_idle, what="all files are there")
        assert len(server.files()) == FILES
    away = time.monotonic()
    for number in range(FILES):
        flow.drop(f"while{number}", b"%d" % number)
    wait_until(lambda: len(status(flow)) == 1, what="the server is left in peace")
    assert (status(flow)[0]["step"], status(flow)[0]["destination"]) == ("send/main", f"127.0.0.1:{port}")
    wait_until(lambda: len(tries(flow)) >= 8, what="some probes")
    assert flow.count()["quarantined"] == 0
    with Server(machine, port=port) as server:
        wait_until(flow.is_idle, what="all files at their end")
        assert len(server.files()) == 2 * FILES
    assert status(flow) == []
    assert flow.count()["quarantined"] == 0
    assert flow.ask("mfdata.inventory")["balanced"]
    # Three to find out, and then a probe each half second at most.
    assert len(tries(flow)) < 12 + 2 * (time.monotonic() - away)


def status(flow: Flow) -> list[dict[str, str]]:
    found: list[dict[str, str]] = flow.ask("mfdata.status").get("more", {}).get("away", [])
    return found


def tries(flow: Flow) -> list[object]:
    """What was tried while the server was away."""
    return [event for event in events(flow.home) if event["event"] == "retried"]
