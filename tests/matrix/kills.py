"""Deaths and refused calls: at every commit point of every process, at random, and of all at once."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import psutil

from tests.matrix.faults.fault_points import NEED_ROOM
from tests.matrix.module import COMMAND, KINDS, QUICK_KINDS, ModuleUnderTest
from tests.matrix.report import Row, row

#: So long a process is waited for at its point: while files flow, and when it has started anew.
_REACHES_WITHIN_S, _STARTS_WITHIN_S = 1.0, 3.0
#: Where workers die first, so that somebody has something to recover.
_DEATHS = (
    ("step.m.main", "trace done"),
    ("step.m.main", "rename committed entry to next waiting"),
    ("step.switch.main", "rename prepared to committed"),
)

#: A process and the name of a commit point.
Point = tuple[str, str]
Wanted = Callable[[str, str], bool]


def every(_process: str, _point: str) -> bool:
    """All points are wanted."""
    return True


def needs_room(_process: str, point: str) -> bool:
    """The points at which a full disk shows."""
    return point.partition(" ")[0] in NEED_ROOM


def at_every_point(module: ModuleUnderTest, wanted: Wanted = every, error: int = 0) -> Iterator[Row]:
    """Let each process die, or be refused with *error*, at each of its commit points.

    Those points are tried, too, that are only met when others are tried: what is recovered, and who dies recovering.
    Several processes die in the same round; a point that is not met in it gets a round of its own.
    """
    module.send(KINDS)
    module.settle()
    usual = module.seen()
    for process in ("observer", "step.m.main", "step.switch.main"):
        module.kill(process)
    done: set[Point] = set()
    while to_do := sorted(module.seen() - done):
        round_ = list({point[0]: point for point in reversed(to_do)}.values())
        done.update(round_)
        together = [point for point in round_ if wanted(*point) and point in usual]
        missed = yield from at_points(module, together, error)
        alone = [point for point in round_ if wanted(*point) and (point not in usual or point in missed)]
        for process, name in alone:
            yield at_point(module, process, name, error, usual=(process, name) in usual)


def at_points(module: ModuleUnderTest, points: Sequence[Point], error: int) -> Generator[Row, None, set[Point]]:
    """Let processes die, or be refused, at *points* in one round; which of these were not met."""
    if not points:
        return set()
    armed = {point: module.arm(*point, error) for point in points}
    module.send(KINDS)
    result = row(module, "")
    missed = {point for point, path in armed.items() if not module.disarm(path)}
    _, kills = module.since_last()
    for number, point in enumerate(point for point in points if point not in missed):
        # What came in and died in this round is told once.
        told = replace(result, kills=result.kills + kills) if not number else replace(result, kills=0, files=0)
        yield replace(told, fault=_fault(*point, error))
    return missed


def at_point(module: ModuleUnderTest, process: str, point: str, error: int = 0, *, usual: bool = True) -> Row:
    """Let *process* die, or be refused, at *point* while files go every way; whether the equation holds after it."""
    tries = (False, True, True) if usual else (True, True)
    reached = any(_reaches(module, process, point, error, deaths=deaths) for deaths in tries)
    return row(module, _fault(process, point, error), reached=reached)


def _fault(process: str, point: str, error: int) -> str:
    return f"{process}: {errno.errorcode[error] if error else 'kill -9'} before '{point}'"


def _reaches(module: ModuleUnderTest, process: str, point: str, error: int, *, deaths: bool) -> bool:
    """Whether *process* came to *point*; *deaths*: others die before, so that there is something to recover."""
    armed = module.arm(process, point, error)
    before = [module.arm(*death) for death in _DEATHS if death != (process, point)] if deaths else []
    module.send(KINDS if deaths else QUICK_KINDS)
    try:
        if process == COMMAND:
            module.settle()
        elif not module.happens(armed, _REACHES_WITHIN_S):
            # What is passed only at a start, or by one that is alone.
            module.kill(process)
            module.happens(armed, _STARTS_WITHIN_S)
        return module.disarm(armed)
    finally:
        for death in before:
            module.disarm(death)


def at_random(module: ModuleUnderTest, kills: int, seed: int = 5) -> Row:
    """Kill processes by chance while files come in."""
    chance = random.Random(seed)
    killed, deadline = 0, time.monotonic() + 60 + kills
    while killed < kills and time.monotonic() < deadline:
        module.send(chance.sample(QUICK_KINDS, 4))
        alive = sorted(name for name, pids in module.flow.pids().items() if pids)
        killed += bool(alive) and module.kill(chance.choice(alive))
        time.sleep(chance.uniform(0.0, 0.15))
    return row(module, f"{killed} kills at random", reached=killed >= kills)


def of_all(module: ModuleUnderTest, times: int, seed: int = 6) -> Row:
    """kill -9 everything that belongs to the module, the supervisor too, in full flow; then start it again."""
    chance = random.Random(seed)
    for _ in range(times):
        for _ in range(5):
            module.send(QUICK_KINDS)
            time.sleep(chance.uniform(0.0, 0.1))
        kill_all(module)
        module.flow.run("mfdata.start")
    return row(module, f"everything killed at once, {times} times")


def kill_all(module: ModuleUnderTest) -> None:
    """kill -9 whatever runs for the home of *module*; supervisor first, so that it starts nothing again."""
    found = belonging_to(module)
    found.sort(key=lambda process: "mfext.supervision.arbiter" not in _command(process))
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    module.kills += len(found)
    psutil.wait_procs(found, timeout=5)


def belonging_to(module: ModuleUnderTest) -> list[psutil.Process]:
    """Every process that runs for the home of *module*."""
    return [process for process in psutil.process_iter() if _is_of(process, str(module.home.path.parent))]


def _is_of(process: psutil.Process, homes: str) -> bool:
    with suppress(psutil.Error):
        return bool(process.environ().get("METWORK_HOME") == homes)
    return False


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
