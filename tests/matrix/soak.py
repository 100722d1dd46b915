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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.matrix.kills import belonging_to
from tests.matrix.module import QUICK_KINDS, ModuleUnderTest
from tests.matrix.report import row
from tests.matrix.worlds import module_in

#: Files of each second: most go the usual ways.
_MIX = ("one", "ends", "two", "both", "named", "packed", "each", "made", "one", "later", "moved", "twice")
_KILL_EVERY_S = 3.0
_PROCESSES = (
    "observer",
    "step.switch.main",
    *(f"step.m.{name}" for name in ("main", "a", "b", "pack", "each", "never", "once")),
)
#: Growth of all processes together, per hour, that is none: what a working day would add is less than one process.
_FLAT_MB_PER_HOUR = 4.0


@dataclass
class Look:
    """What the processes of the module take at one moment."""

    seconds: float
    #: MB of its own (what is shared depends on who else runs), and open descriptors of one copy, by process.
    memory: dict[str, float] = field(default_factory=dict)
    descriptors: dict[str, int] = field(default_factory=dict)
    zombies: int = 0


def main() -> int:
    """Let files flow for so many seconds; the exit status."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seconds", nargs="?", type=float, default=1800, help="length (default %(default)s)")
    parser.add_argument("--rate", type=int, default=200, help="files a second (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where all files lie (default: the system's for such)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    with module_in(folder / "m") as module:
        looks = flow(module, options.seconds, options.rate)
        result = row(module, "a steady flow, with kills", timeout=600)
        print(f"\n{result}: {result.files} files, {result.kills} kills, {result.lost} lost, {result.doubled} doubled")
        print(result.equation)
        is_good = result.is_good & told_processes(looks) & told_disk(module, result.kills)
    if is_good:
        shutil.rmtree(folder)
    return 0 if is_good else 1


def flow(module: ModuleUnderTest, seconds: float, rate: int) -> list[Look]:
    """Send and kill for *seconds*; what the processes took meanwhile."""
    chance, looks = random.Random(11), []
    start = time.monotonic()
    next_kill, next_look, sent = _KILL_EVERY_S, 0.0, 0
    print(f"{'s':>7} {'sent':>8} {'on the way':>10} {'kills':>6} {'MB':>6}")
    while (now := time.monotonic() - start) < seconds:
        due = int(now * rate) - sent
        module.send(_kind(number, chance) for number in range(sent, sent + due))
        sent += due
        if now >= next_kill:
            module.kill(chance.choice(_PROCESSES))
            next_kill = now + chance.uniform(0.5, 1.5) * _KILL_EVERY_S
        if now >= next_look:
            looks.append(look(module, now))
            counts = module.flow.count()
            on_the_way = sum(counts[state] for state in ("incoming", "waiting", "claimed", "delayed"))
            megabytes = sum(looks[-1].memory.values())
            print(f"{now:7.0f} {sent:8} {on_the_way:10} {module.kills:6} {megabytes:6.0f}", flush=True)
            next_look += max(5.0, seconds / 120)
        time.sleep(0.02)
    return looks


def _kind(number: int, chance: random.Random) -> str:
    return chance.choice(QUICK_KINDS) if number % 50 == 0 else _MIX[number % len(_MIX)]


def look(module: ModuleUnderTest, seconds: float) -> Look:
    """What the processes of *module* take now."""
    found = Look(seconds)
    for process in belonging_to(module):
        with suppress(psutil.Error):
            name = process.environ().get("METWORK_PROCESS", "supervisor")
            found.memory[name] = found.memory.get(name, 0.0) + process.memory_full_info().uss / 1e6
            found.descriptors[name] = max(found.descriptors.get(name, 0), process.num_fds())
            found.zombies += sum(child.status() == psutil.STATUS_ZOMBIE for child in process.children())
    return found


def told_processes(looks: Sequence[Look]) -> bool:
    """Print how memory and descriptors went, by process; whether neither grew. The first quarter warms up."""
    warm = looks[len(looks) // 4 :]
    print(f"\n{'process':18} {'MB at first':>11} {'at last':>8} {'MB/hour':>8} {'descriptors':>12} {'at last':>8}")
    names = sorted({name for one in warm for name in one.memory})
    for name in [*names, ""]:
        memory = [(one.seconds, _memory(one, name)) for one in warm if not name or name in one.memory]
        files = [_descriptors(one, name) for one in warm]
        print(
            f"{name or 'all together':18} {memory[0][1]:11.1f} {memory[-1][1]:8.1f} {slope(memory):8.1f} "
            f"{files[0]:12} {files[-1]:8}"
        )
    growth = slope([(one.seconds, _memory(one, "")) for one in warm])
    half = len(warm) // 2
    first, second = (max(_descriptors(one, "") for one in part) for part in (warm[:half], warm[half:]))
    zombies = [one.zombies for one in warm]
    is_flat = growth <= _FLAT_MB_PER_HOUR
    print(
        f"memory {growth:+.1f} MB an hour: {'' if is_flat else 'NOT '}flat; descriptors {first}, then {second} at most"
    )
    print(f"zombies: {max(zombies)} at most, {zombies[-1]} at last")
    return is_flat and second <= first + 2 * len(names) and zombies[-1] <= 1


def _memory(one: Look, name: str) -> float:
    return one.memory.get(name, 0.0) if name else sum(one.memory.values())


def _descriptors(one: Look, name: str) -> int:
    return one.descriptors.get(name, 0) if name else sum(one.descriptors.values())


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Growth per hour of what was measured at so many seconds: the median of the slopes of all pairs (pure)."""
    slopes = [
        (later - value) / (at - second)
        for number, (second, value) in enumerate(points)
        for at, later in points[number + 1 :]
    ]
    return 3600 * statistics.median(slopes) if slopes else 0.0


def told_disk(module: ModuleUnderTest, kills: int) -> bool:
    """Print what is on disk beside the files; whether no more was left behind than one piece a death."""
    log = module.home.log
    sizes = [(path, path.stat().st_size) for path in log.rglob("*") if path.is_file()]
    traces = sum(size for path, size in sizes if path.parent.name == "trace")
    others = sorted((size, path.name) for path, size in sizes if path.parent.name != "trace")
    largest = ", ".join(f"{name} {size / 1e6:.2f} MB" for size, name in others[:-4:-1])
    print(f"traces {traces / 1e6:.0f} MB, logs {sum(size for size, _ in others) / 1e6:.1f} MB (most: {largest})")
    strays, leftovers = module.strays(), module.leftovers()
    print(f"left behind in var: {len(strays)} tags or reasons without a file, {len(leftovers)} pieces of work")
    return len(strays) <= kills and not leftovers


if __name__ == "__main__":
    sys.exit(main())
