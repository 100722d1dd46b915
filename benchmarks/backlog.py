"""The rate of a step with a million files before it, beside the same step with a thousand; and what it holds in memory.

The step does nothing with a file (template ``delete``), so that the queue is all that is measured. What the disk still
owes to the making of the files is waited for before, in both cases.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.running import FOLDER, Running, running, wait_for
from mfdata.storage.names import waiting_name
from mfdata.storage.tags import first_tags, new_uid, write_tags

_FEW = 1000
_PROCESS = "step.away.main"
#: Seconds between two looks at the memory of the step.
_LOOK_S = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(";")[0])
    parser.add_argument("--files", type=int, default=1_000_000, help="files that wait (default %(default)s)")
    parser.add_argument("--window", type=int, default=100_000, help="of which so many are timed (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where all files lie (default run/benchmarks)")
    options = parser.parse_args()
    begin = time.monotonic()
    with running(folder=options.folder) as module:
        module.add_plugin("away", "delete", {})
        few = [rate(module, _FEW, _FEW) for _ in range(20)]
        many, memory = rate(module, options.files, min(options.window, options.files))
    usual, small = statistics.median(one for one, _ in few), max(one for _, one in few)
    print(f"{_FEW:9} files waiting: {usual:7.0f} files/s, largest {small:.0f} MB (PSS)")
    print(f"{options.files:9} files waiting: {many:7.0f} files/s, largest {memory:.0f} MB (PSS)")
    print(f"ratio {many / usual:.2f}   goal >= 0.8; all of it took {time.monotonic() - begin:.0f} s")


def rate(module: Running, count: int, window: int) -> tuple[float, float]:
    """Files a second over the first *window* of *count* files that wait, and the most memory the step took, in MB."""
    queue, memory = module.queue("away"), [0.0]
    staged = stage(module.home / "staged", count)
    added = module.lines(_PROCESS)
    pid = module.pids(_PROCESS)[0]
    with module.stopped(_PROCESS):
        for name in os.listdir(staged):  # noqa: PTH208
            os.rename(f"{staged}/{name}", f"{queue}/{name}")  # noqa: PTH104  # a million times
        os.sync()
        start = time.monotonic()
    end = wait_for(_is_through(added, window, pid, memory), pause=0.1 if count > _FEW else 0.002)
    done = added()
    memory.append(_pss_mb(pid))
    return done / (end - start), max(memory)


def _is_through(added: Callable[[], int], window: int, pid: int, memory: list[float]) -> Callable[[], bool]:
    """Tells whether *window* files are done, and notes the memory now and then: to ask for it holds the process up."""
    looked_at = time.monotonic()

    def is_through() -> bool:
        nonlocal looked_at
        if time.monotonic() - looked_at > _LOOK_S:
            memory.append(_pss_mb(pid))
            looked_at = time.monotonic()
        return added() >= window

    return is_through


def _pss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss / 1e6)


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
