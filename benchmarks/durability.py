"""Files that survive a power cut: intake and switch with ``durability = power``, beside a bare loop on the same disk.

The bare loop does for each file what nobody can do without: fsync the file, rename it, fsync the folder. MetWork does
that twice, at intake and at hand-over, in two processes at the same time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.running import FOLDER, Running, running, wait_for

_CONFIG = "[safety]\ndurability = {0}\n\n[internal_plugins]\nswitch_no_match_policy = away/main\n"
_CONTENT = os.urandom(8192)


def main() -> None:
    """Measure by turns and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--files", type=int, default=2000, help="files of each run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs, of which the median counts (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all files lie (default run/benchmarks)")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"bare": [], "power": [], "crash": []}
    for durability in ("power", "crash"):
        with running(_CONFIG.format(durability), options.folder) as module:
            module.add_plugin("away", "delete", {})
            for _ in range(options.rounds):
                rates["bare"].append(bare(options.folder, options.files))
                rates[durability].append(metwork(module, options.files))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"bare loop: fsync, rename, fsync     {medians['bare']:7.0f} files/s")
    print(f"intake and switch, durability=power {medians['power']:7.0f} files/s", end="")
    print(f"   ratio {medians['power'] / medians['bare']:.2f}   goal >= 0.5")
    print(f"intake and switch, durability=crash {medians['crash']:7.0f} files/s")


def written(folder: Path, count: int) -> list[Path]:
    """*count* files in *folder*, as a producer leaves them: written, not synced."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"file{number:06}" for number in range(count)]
    for path in paths:
        path.write_bytes(_CONTENT)
    return paths


def bare(folder: Path, count: int) -> float:
    """Files a second of the bare loop."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        target = Path(name) / "out"
        target.mkdir()
        paths = written(Path(name) / "in", count)
        directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        start = time.monotonic()
        for path in paths:
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.close(file)
            path.rename(target / path.name)
            os.fsync(directory)
        elapsed = time.monotonic() - start
        os.close(directory)
    return count / elapsed


def metwork(module: Running, count: int) -> float:
    """Files a second from the first rename into incoming to the last hand-over by the switch."""
    paths = written(module.home / "staged", count)
    handed_over = module.lines("step.switch.main")
    start = time.monotonic()
    for path in paths:
        path.rename(module.incoming / path.name)
    return count / (wait_for(lambda: handed_over() >= count) - start)


if __name__ == "__main__":
    main()
