"""What fifty steps cost that have nothing to do, beside an empty module."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.running import FOLDER, Running, running


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50, help="steps (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="time of watching each (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all files lie (default run/benchmarks)")
    options = parser.parse_args()
    with running(folder=options.folder) as module:
        empty = load(module, options.seconds)
        add_steps(module, options.steps)
        full = load(module, options.seconds)
        memory = sum(process.memory_full_info().pss for process in module.processes()) / 1e6
    print(f"empty module         {empty:6.3f} % of one core")
    print(f"with {options.steps:3} idle steps {full:6.3f} % of one core   goal <= 0.5; {memory:.0f} MB (PSS)")


def add_steps(module: Running, count: int) -> None:
    """A plugin with so many steps."""
    folder = module.folder / "idle"
    folder.mkdir()
    step = 'cmd = {PYTHON} -c "from mfdata.steps.delete import Delete; Delete.main()"'
    sections = "".join(f"\n[step_s{number}]\n{step}\n" for number in range(count))
    (folder / "config.ini").write_text(f"[general]\nname = idle\nversion = 1\n{sections}")
    module.run("plugins.develop", ".", within=folder)
    for number in range(count):
        module.pids(f"step.idle.s{number}")


def load(module: Running, seconds: float) -> float:
    """Per cent of one core that all processes of *module* take, once they have come to rest."""
    time.sleep(5)
    cpu, start = module.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (module.cpu_s() - cpu) / (time.monotonic() - start) * 100


if __name__ == "__main__":
    main()
