"""The supervisor, or the machine, ends again and again with the same file in hand: nobody is to blame for that."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mfdata.storage.trace import events
from mfext.supervision.generation import lock_file
from mfext.testing import wait_until
from tests.system.conftest import Flow, below

TIMES = 4  # one more than max_crashes
SLOW = """
import time
from mfdata import Done, Step

class Slow(Step):
    def process(self, file):
        while not (self.home.path / "go").exists():
            time.sleep(0.02)
        return Done()

if __name__ == "__main__":
    Slow.main()
"""


def test_a_file_that_takes_long_is_no_poison_because_the_machine_ends(flow: Flow) -> None:
    flow.plugin("slow", code=SLOW, switch_logical_condition="True")
    flow.drop("file", b"content")
    for _ in range(TIMES):
        kill_all_with_the_file_in_hand(flow)
        flow.run("mfdata.start")
    (flow.home.path / "go").touch()
    wait_until(flow.is_idle, what="the file at its end")
    assert flow.quarantine("slow/main") == []
    told = [event for event in events(flow.home) if event["event"] == "recovered"]
    assert [event["crashes"] for event in told] == [0] * TIMES
    assert "ended with its supervisor or with the machine" in flow.run("mfdata.trace", "file")
    assert flow.ask("mfdata.inventory")["balanced"]


def kill_all_with_the_file_in_hand(flow: Flow) -> None:
    def is_in_hand() -> bool:
        """A live worker has it, not one that ended with the last arbiter."""
        claimed = [path for path in below(flow.places.works / "slow.main", 2) if path.name[0].isdigit()]
        live = {str(pid) for pid in flow.pids()["step.slow.main"]}
        return any(path.parent.name.partition("-")[0] in live for path in claimed)

    wait_until(is_in_hand, what="the file is in hand")
    pids = [pid for found in flow.pids().values() for pid in found]
    os.kill(int(lock_file(flow.home).read_text()), signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="all have ended with the arbiter")
