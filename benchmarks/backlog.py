"""The rate of a step with a million files before it, beside the same step with a thousand; and what it holds in memory.

The step does nothing with a file (template ``delete``), so that the queue is all that is measured.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import psutil

from benchmarks.running import FOLDER, Running, running, wait_for
from mfdata.file import first_tags, new_uid, waiting_name, write_tags

_FEW = 1000
_PROCESS = "step.away.main"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(";")[0])
    parser.add_argument("--files", type=int, default=1_000_000, help="files that wait (default %(default)s)")
    parser.add_argument("--window", type=int, default=100_000, help="of which so many are timed (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all files lie (default run/benchmarks)")
    options = parser.parse_args()
    with running(folder=options.folder) as module:
        module.add_plugin("away", "delete", {})
        few = [rate(module, _FEW, _FEW)[0] for _ in range(20)]
        many, memory = rate(module, options.files, min(options.window, options.files))
    print(f"{_FEW:9} files waiting: {statistics.median(few):7.0f} files/s")
    print(f"{options.files:9} files waiting: {many:7.0f} files/s, largest {memory:.0f} MB (PSS)")
    print(f"ratio {many / statistics.median(few):.2f}   goal >= 0.8")


def rate(module: Running, count: int, window: int) -> tuple[float, float]:
    """Files a second over the first *window* of *count* files that wait, and the most memory the step took, in MB."""
    queue, memory = module.queue("away"), [0.0]
    staged = stage(module.home / "staged", count)
    added = module.lines(_PROCESS)
    process = psutil.Process(module.pids(_PROCESS)[0])
    with module.stopped(_PROCESS):
        for path in staged.iterdir():
            path.rename(queue / path.name)
        start = time.monotonic()

    def is_through() -> bool:
        if count > _FEW:
            memory.append(process.memory_full_info().pss / 1e6)
        return added() >= window

    end = wait_for(is_through, pause=0.1 if count > _FEW else 0.002)
    return added() / (end - start), max(memory)


def stage(folder: Path, count: int) -> Path:
    """*count* files with waiting names and tags in *folder*."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        name = f"file{number}".encode()
        path = folder / waiting_name(name)
        path.write_bytes(b"content")
        write_tags(path, first_tags(new_uid(), name, b"incoming"), folder)
    return folder


if __name__ == "__main__":
    main()
