"""A server that is not ours is kept running by a process of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until

_KEEPER = """
import os, signal, sys
from pathlib import Path
from mfext.supervision.child_server import ChildServer
from mfext.environment import Home
from mfext.mainloop import Mainloop

class Sleeper(ChildServer):
    name = "sleeper"
    drain_signal = signal.SIGUSR2

    def command(self):
        return [sys.executable, "-c", sys.argv[2]]

    def is_ready(self):
        return Path("ready").exists()

    def take_output(self, data):
        with open("output", "ab") as file:
            file.write(data)

with Mainloop(Home("mfdata", Path(sys.argv[1])), "keeper") as loop:
    sys.exit(Sleeper().run(loop))
"""
_SERVER = """
import os, signal, sys, time
from pathlib import Path
def drained(*_):
    print("drained", flush=True)
    sys.exit(0)
signal.signal(signal.SIGUSR2, drained)
print("pid", os.getpid(), flush=True)
Path("ready").touch()
time.sleep({after})
while {lives}:
    time.sleep(60)
"""


class Keeper:
    """The keeper, and what its server wrote."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-c", _KEEPER, str(folder), server], cwd=folder)

    @property
    def output(self) -> list[str]:
        path = self.folder / "output"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def pids(self) -> list[int]:
        """Of the servers that were started, the last one last."""
        return [int(line.split()[1]) for line in self.output if line.startswith("pid ")]

    def is_ready(self) -> bool:
        return any((self.folder / "var/run/ready/keeper").glob("[0-9]*"))


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    kept = Keeper(tmp_path, _SERVER.format(after=1.5, lives=True))
    yield kept
    kept.process.kill()
    kept.process.wait()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_ready_with_its_server_and_ends_with_it(keeper: Keeper) -> None:
    wait_until(keeper.is_ready, what="ready")
    wait_until(lambda: keeper.pids, what="output")
    keeper.process.terminate()
    assert keeper.process.wait(60) == 0
    assert not lives(keeper.pids[0])


def test_a_server_that_dies_is_started_again(keeper: Keeper) -> None:
    wait_until(lambda: keeper.pids, what="a server")
    first = keeper.pids[0]
    # One that dies at once would only die again.
    wait_until(lambda: age_of(first) > 1.2, what="it has lived for a while")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(keeper.pids) == 2, what="another one")
    assert keeper.process.poll() is None


def age_of(pid: int) -> float:
    """Seconds since the process was started."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def test_a_server_dies_with_its_keeper(keeper: Keeper) -> None:
    wait_until(lambda: keeper.pids, what="a server")
    keeper.process.kill()
    wait_until(lambda: not lives(keeper.pids[0]), what="its end")


def test_a_drained_server_finishes_its_work(keeper: Keeper) -> None:
    wait_until(keeper.is_ready, what="ready")
    keeper.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "drained" in keeper.output, what="the server has drained")
    keeper.process.terminate()
    assert keeper.process.wait(60) == 0


def test_a_server_that_ends_at_once_ends_its_keeper(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, _SERVER.format(after=0, lives=False))
    assert keeper.process.wait(60) != 0
    assert len(keeper.pids) == 1
