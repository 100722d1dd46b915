from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from mfext.mainloop import Mainloop
from mfext.supervision.children import Child, Children
from mfext.supervision.liveness import Liveness, Pulse

PID = os.getpid()


@dataclass
class Alive:
    """Children that nobody can kill: this process alone."""

    alive: dict[int, Child]
    killed: list[float] = field(default_factory=list)

    def kill_stalled(self, _pid: int, standing: float) -> None:
        self.killed.append(standing)


class Clock:
    """A clock that somebody else moves."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    made = Pulse()
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("mfext.supervision.liveness.time", made)
    return made


def looked(clock: Clock, liveness: Liveness, seconds: float, every: float = 2.0, limit: float = 10.0) -> None:
    end = clock.now + seconds
    while clock.now < end:
        clock.now += every
        liveness.look(lambda _name: limit)


@pytest.fixture
def children() -> Alive:
    return Alive({PID: Child(PID, "one", 0.0)})


@pytest.fixture
def liveness(clock: Clock, children: Alive) -> Iterator[Liveness]:
    made = Liveness(cast(Children, children))
    yield made
    children.alive.clear()
    looked(clock, made, 2)  # it lets go of what it has looked at


def test_a_loop_that_stays_in_one_turn_stands_still(
    pulse: Pulse, clock: Clock, children: Alive, liveness: Liveness
) -> None:
    pulse.turns()
    looked(clock, liveness, 8)
    assert (children.killed, liveness.standing(PID)) == ([], 6)
    pulse.turns()
    looked(clock, liveness, 8)
    assert children.killed == []
    looked(clock, liveness, 4)
    assert children.killed == [10]


def test_a_loop_that_sleeps_does_not_stand_still(
    pulse: Pulse, clock: Clock, children: Alive, liveness: Liveness
) -> None:
    pulse.turns()
    pulse.sleeps()
    looked(clock, liveness, 1000)
    assert (children.killed, liveness.standing(PID)) == ([], 0)


def test_while_all_threads_are_occupied_only_their_steps_are_turns(
    pulse: Pulse, clock: Clock, children: Alive, liveness: Liveness
) -> None:
    def loop_turns(seconds: int) -> None:
        for _ in range(seconds):
            pulse.turns()
            looked(clock, liveness, 1, every=1)
            pulse.sleeps()
            looked(clock, liveness, 1, every=1)

    pulse.occupied(True)
    loop_turns(4)
    pulse.occupied(True)
    loop_turns(4)
    assert children.killed == []
    assert liveness.standing(PID) > 5
    pulse.occupied(False)
    loop_turns(20)
    assert (children.killed, liveness.standing(PID)) == ([], 0)
    pulse.occupied(True)
    loop_turns(6)
    assert children.killed


def test_while_nobody_could_turn_nobody_stands_still(
    pulse: Pulse, clock: Clock, children: Alive, liveness: Liveness
) -> None:
    pulse.turns()
    looked(clock, liveness, 3000, every=1000)  # the machine slept
    assert children.killed == [10]
    assert liveness.standing(PID) == 10


def test_what_is_told_to_end_or_may_stand_still_is_left_alone(
    pulse: Pulse, clock: Clock, children: Alive, liveness: Liveness
) -> None:
    pulse.turns()
    looked(clock, liveness, 1000, limit=0)
    children.alive[PID].asked = True
    looked(clock, liveness, 1000)
    assert children.killed == []


def memories() -> int:
    """How many memories of loops this process has open."""
    return sum("metwork-pulse" in str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in range(1024) if is_open(fd))


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_main_loop_leaves_no_memory_open() -> None:
    before = memories()
    with Mainloop(process="") as loop:
        loop.wait(timeout=0)
        assert memories() == before + 1
    assert memories() == before
