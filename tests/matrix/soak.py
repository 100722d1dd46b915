"""Soak: a steady flow of files with a kill every few seconds; nothing lost, nothing doubled, memory flat.

``python -m tests.matrix.soak [SECONDS]``
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.matrix.kills import belonging_to
from tests.matrix.module import QUICK_KINDS, ModuleUnderTest
from tests.matrix.report import row
from tests.matrix.worlds import module_in

#: Files of each second: most go the usual ways.
_MIX = ("one", "ends", "two", "both", "named", "one", "ends", "made")
_KILL_EVERY_S = 3.0
_PROCESSES = ("observer", "step.m.main", "step.m.a", "step.m.b", "step.switch.main")


def main() -> int:
    """Let files flow for so many seconds; the exit status."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seconds", nargs="?", type=float, default=1800, help="length (default %(default)s)")
    parser.add_argument("--rate", type=int, default=200, help="files a second (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where all files lie (default: the system's for such)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    with module_in(folder / "m") as module:
        kills, memory = flow(module, options.seconds, options.rate)
        result = row(module, f"{len(module.sent)} files, {kills} kills", timeout=600)
    is_flat = flat(memory)
    print(f"\n{result}\n{result.equation}")
    print(f"memory: {memory[0]:.0f} MB at first, {memory[-1]:.0f} MB at last, {'' if is_flat else 'NOT '}flat")
    if result.is_good:
        shutil.rmtree(folder)
    return 0 if result.is_good and is_flat else 1


def flow(module: ModuleUnderTest, seconds: float, rate: int) -> tuple[int, list[float]]:
    """Send and kill for *seconds*; the number of kills, and the memory in MB over time."""
    chance, kills, memory = random.Random(11), 0, [memory_mb(module)]
    start = time.monotonic()
    next_kill, next_line, sent = _KILL_EVERY_S, 0.0, 0
    print(f"{'s':>7} {'sent':>8} {'on the way':>10} {'kills':>6} {'MB':>6}")
    while (now := time.monotonic() - start) < seconds:
        due = int(now * rate) - sent
        module.send(_kind(number, chance) for number in range(sent, sent + due))
        sent += due
        if now >= next_kill:
            kills += module.kill(chance.choice(_PROCESSES))
            next_kill = now + chance.uniform(0.5, 1.5) * _KILL_EVERY_S
        if now >= next_line:
            memory.append(memory_mb(module))
            counts = module.flow.count()
            on_the_way = sum(counts[state] for state in ("incoming", "waiting", "claimed", "delayed"))
            print(f"{now:7.0f} {sent:8} {on_the_way:10} {kills:6} {memory[-1]:6.0f}", flush=True)
            next_line += max(10.0, seconds / 60)
        time.sleep(0.02)
    return kills, memory


def _kind(number: int, chance: random.Random) -> str:
    return chance.choice(QUICK_KINDS) if number % 50 == 0 else _MIX[number % len(_MIX)]


def memory_mb(module: ModuleUnderTest) -> float:
    """Proportional set size of all processes of *module*."""
    total = 0
    for process in belonging_to(module):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


def flat(memory: list[float]) -> bool:
    """Whether the last quarter is no more than an eighth above the second one: the first one warms up."""
    quarter = max(1, len(memory) // 4)
    return statistics.median(memory[-quarter:]) <= 1.125 * statistics.median(memory[quarter : 2 * quarter])


if __name__ == "__main__":
    sys.exit(main())
