"""Processes whose loop stands still are killed and started again; those that have nothing to do are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.lifecycle.status import notes
from mfext.supervision.exits import exits_of
from mfext.supervision.liveness import memory_of
from mfext.supervision.process import Process
from mfext.supervision.process_state import ProcessState
from mfext.supervision.supervisor import Supervisor
from mfext.testing import temporary_home, wait_until

#: A process of ours with a loop of its own or of asyncio, which stands still once there is a file "stand".
LOOPS = """
import asyncio, os, sys, time
from mfext.mainloop import Mainloop
how = sys.argv[1]

def work():
    while os.path.exists("stand"):
        if how == "spins":
            while True:
                pass
        time.sleep(1000)

async def in_asyncio(loop):
    heard = loop.signal_event()
    loop.ready()
    while not loop.stopping:
        work()
        try:
            await asyncio.wait_for(heard.wait(), 0.1)
        except TimeoutError:
            pass

with Mainloop() as loop:
    if how == "asyncio":
        loop.run(in_asyncio(loop))
    loop.ready()
    while not loop.stopping:
        loop.wait(timeout=None if how == "idle" else 0.1)
        if loop.draining:
            loop.drained()
        if how != "idle":
            work()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


@pytest.fixture
def supervisor(home: Home) -> Iterator[Supervisor]:
    made = Supervisor(home)
    yield made
    made.stop(drain_timeout=1)


def looping(folder: Path, how: str, stalled_after: float = 3.0) -> Process:
    script = folder / "loops.py"
    script.write_text(LOOPS)
    return Process(how, (sys.executable, str(script), how), folder, graceful_timeout=2, stalled_after=stalled_after)


def ready_pids(supervisor: Supervisor, name: str) -> tuple[int, ...]:
    return next(one.ready for one in supervisor.states([name]))


def test_loops_that_stand_still_are_killed_named_and_started_again(tmp_path: Path, supervisor: Supervisor) -> None:
    kinds = ["idle", "spins", "sleeps", "asyncio", "stopped", "off"]
    processes = [looping(tmp_path, how) for how in kinds[:-1]]
    processes.append(replace(looping(tmp_path, "off", 0.0)))
    supervisor.start(processes)
    before = {how: wait_until(lambda how=how: ready_pids(supervisor, how), what=how) for how in kinds}  # type: ignore[misc]
    (tmp_path / "stand").touch()
    os.kill(before["stopped"][0], signal.SIGSTOP)
    seen: dict[str, list[ProcessState]] = {how: [] for how in kinds}

    def all_ended() -> bool:
        for one in supervisor.states():
            seen[one.name].append(one)
        return all(any(exits_of(supervisor.home, how)) for how in ("spins", "sleeps", "asyncio", "stopped"))

    wait_until(all_ended, what="those that stand still end")
    (tmp_path / "stand").unlink()
    for how in ("spins", "sleeps", "asyncio", "stopped"):
        wait_until(lambda how=how: set(ready_pids(supervisor, how)) - set(before[how]), what=how)  # type: ignore[misc]
        end = exits_of(supervisor.home, how)[0]
        assert (end.signal, end.pid, end.asked) == ("SIGKILL", before[how][0], False)
        assert end.stalled >= 3
    told = wait_until(lambda: [note for note in notes(supervisor.states(), 0.0) if note.startswith("spins")])
    assert "killed by SIGKILL, since its loop had stood still for" in told[0]
    assert any(one.state == "failing" and "its loop has stood still" in one.reason for one in seen["sleeps"])
    for how in ("idle", "off"):
        assert ready_pids(supervisor, how) == before[how]
        assert not exits_of(supervisor.home, how)


def test_what_is_allowed_changes_without_a_restart(tmp_path: Path, supervisor: Supervisor) -> None:
    one = looping(tmp_path, "sleeps", 0.0)
    supervisor.start([one])
    pids = wait_until(lambda: ready_pids(supervisor, "sleeps"))
    supervisor.apply([replace(one, stalled_after=1.0)])
    assert ready_pids(supervisor, "sleeps") == pids
    (tmp_path / "stand").touch()
    wait_until(lambda: exits_of(supervisor.home, "sleeps"), what="it is killed")


def test_a_process_that_waits_by_means_of_its_own_has_no_loop_to_look_at() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        assert memory_of(process.pid) == -1
        process.kill()
    assert memory_of(process.pid) == -1
