"""Run the crash matrix and print its report: ``python -m tests.matrix [--folder FOLDER] [PART...]``."""

from __future__ import annotations

import argparse
import errno
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.matrix.kills import at_every_point, at_random, needs_room, of_all
from tests.matrix.report import Row, summary
from tests.matrix.worlds import WORLDS, CannotBeMade, module_in


def deaths(folder: Path) -> Iterator[Row]:
    """kill -9 at every commit point of every process, those of recovery included."""
    with module_in(folder / "m") as module:
        yield from at_every_point(module)


def refusals(folder: Path) -> Iterator[Row]:
    """A disk that is full at every commit point, once."""
    with module_in(folder / "m") as module:
        yield from at_every_point(module, needs_room, errno.ENOSPC)


def chance(folder: Path) -> Iterator[Row]:
    """kill -9 at random, a thousand times, and of everything at once."""
    with module_in(folder / "m") as module:
        for seed in range(10):
            yield at_random(module, 100, seed)
        yield of_all(module, 10)


PARTS: dict[str, Callable[[Path], Iterator[Row]]] = {
    part.__name__: part for part in (deaths, refusals, chance, *WORLDS)
}


def main() -> int:
    """Run the parts that are named, by default all; the exit status."""
    parser = argparse.ArgumentParser(prog="crash-matrix", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--folder", type=Path, help="where all files lie (default: the system's for such)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crash-matrix-", dir=options.folder))
    rows: dict[str, list[Row]] = {}
    seconds: dict[str, float] = {}
    for name in options.parts or PARTS:
        print(f"\n== {name}: {PARTS[name].__doc__}", flush=True)
        start, rows[name] = time.monotonic(), []
        for one in _rows(PARTS[name], folder / name):
            rows[name].append(one)
            print(f"{time.monotonic() - start:7.1f} s  {one}", flush=True)
        seconds[name] = time.monotonic() - start
    text, is_good = summary(rows, seconds)
    print(f"\n{text}")
    if is_good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what was left behind is in {folder}")
    return 0 if is_good else 1


def _rows(part: Callable[[Path], Iterator[Row]], folder: Path) -> Iterator[Row]:
    folder.mkdir()
    try:
        yield from part(folder)
    except CannotBeMade as error:
        yield Row(part.__doc__ or part.__name__, f"skipped: {error}")


if __name__ == "__main__":
    sys.exit(main())
