"""What Prometheus is told of a running mfdata."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mfext.net.unix import UnixHTTPConnection
from mfext.testing import wait_until
from tests.servers import free_ports
from tests.system.conftest import Flow

CODE = """
from mfdata import Step, Done, Failed

class Odd(Step):
    def process(self, file):
        return Failed("odd") if file.path.read_bytes() == b"bad" else Done()

if __name__ == "__main__":
    Odd.main()
"""
Values = dict[tuple[str, str], float]


def ask(connection: http.client.HTTPConnection, path: str = "/metrics") -> tuple[int, str]:
    """Status and text of an answer."""
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def scrape(flow: Flow) -> str:
    status, text = ask(UnixHTTPConnection(flow.home.run / "metrics.sock", timeout=60))
    assert status == 200, text
    return text


def values_of(text: str) -> Values:
    """The values by name and plugin."""
    return {
        (sample.name, sample.labels.get("plugin", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_files_are_counted_whoever_dies(flow: Flow) -> None:
    flow.plugin("odd", code=CODE, switch_logical_condition="True")
    for number in range(5):
        flow.drop(f"good.{number}", b"good")
    for number in range(2):
        flow.drop(f"bad.{number}", b"bad")
    wait_until(lambda: flow.is_idle() and flow.count()["quarantined"] == 2, what="all files done with")
    text = scrape(flow)
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    counted = values_of(text)
    expected = {
        ("metwork_files_accepted_total", ""): 7,
        ("metwork_files_matched_total", "odd"): 7,
        ("metwork_files_done_total", "odd"): 5,
        ("metwork_files_failed_total", "odd"): 2,
        ("metwork_files_quarantined_total", "odd"): 2,
        ("metwork_file_duration_seconds_count", "odd"): 7,
        ("metwork_files_in_quarantine", "odd"): 2,
        ("metwork_files_waiting", "odd"): 0,
        ("metwork_intake_paused", ""): 0,
        ("metwork_process_running", "odd"): 1,
    }
    assert {key: counted.get(key) for key in expected} == expected

    before = flow.pids()["step.odd.main"]
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: flow.pids()["step.odd.main"] not in ([], before), what="another worker")
    flow.drop("good.6", b"good")
    wait_until(
        lambda: values_of(scrape(flow)).get(("metwork_files_done_total", "odd")) == 6, what="a count that went on"
    )


def test_a_port_answers_when_it_is_asked_for_and_says_when_it_cannot(new_flow: Callable[[], Flow]) -> None:
    flow = new_flow()
    (port,) = free_ports(1)
    flow.configure(metrics={"port": str(port)})
    flow.run("mfdata.start")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    assert ask(connection)[0] == 200
    assert ask(connection, "/other")[0] == 404
    flow.run("mfdata.status")
    flow.run("mfdata.stop")

    with socket.create_server(("127.0.0.1", port)):
        assert flow.try_to("mfdata.start").returncode != 0
        status = flow.try_to("mfdata.status")
    assert status.returncode != 0
    assert f"127.0.0.1:{port}" in status.stdout + status.stderr


@pytest.mark.parametrize("victim", ["server", "arbiter"])
def test_who_shows_metrics_may_be_killed(flow: Flow, victim: str) -> None:
    scrape(flow)
    if victim == "server":
        (server,) = (
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit()
            and b"mfext.metrics.server" in read(path / "cmdline")
            and str(flow.home.path.parent).encode() in read(path / "environ")
        )
        os.kill(server, signal.SIGKILL)
    else:
        os.kill(int((flow.home.run / "arbiter.lock").read_text()), signal.SIGKILL)
        wait_until(lambda: flow.try_to("mfdata.start").returncode == 0, what="a new start")
    wait_until(lambda: is_answered(flow), what="an answer")


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def is_answered(flow: Flow) -> bool:
    try:
        return "metwork_files_accepted_total" in scrape(flow)
    except (OSError, http.client.HTTPException):
        return False
