"""Routing of small files: MetWork beside the one-process reference, by turns in the same run.

A third of the files are PNG, a third gzip, a third text; 2 to 20 KB; names that tell nothing. They are renamed into the
incoming directory in one go. PNG files must be moved away by a second step, the others are dropped by the switch
(``switch_no_match_policy = drop``) as the reference removes them: then every file costs both sides one identification
and one change of the file system at its end.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

from benchmarks import chains
from benchmarks.files import is_png, write_files

Starter = Callable[[Path], AbstractContextManager[chains.Chain]]


@dataclass(frozen=True)
class Figures:
    """What one run of one chain gave."""

    files_per_s: float
    cpu_ms_per_file: float
    p50_ms: float
    p99_ms: float
    memory_mb: float


def main() -> None:
    """Measure by turns and print the figures, their ratios and the machine."""
    options = _arguments()
    options.folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[Figures]] = {"ref": [], "metwork": []}
    for turn in range(options.rounds):
        for name, starter in (("ref", chains.reference), ("metwork", chains.metwork)):
            folder = Path(tempfile.mkdtemp(prefix=f"routing_{name}_", dir=options.folder))
            try:
                results[name].append(measured(starter, folder, options.files, options.seconds))
            finally:
                chains.remove(folder)
            print(f"round {turn + 1} {name:8} {_line(results[name][-1])}", flush=True)
    _report(results["ref"], results["metwork"], options.files)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=5000, help="files of the throughput run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each chain (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="length of the latency run (default %(default)s)")
    default = Path(__file__).parent.parent / "run" / "benchmarks"
    parser.add_argument("--folder", type=Path, default=default, help="where all files lie (default run/benchmarks)")
    return parser.parse_args()


def measured(starter: Starter, folder: Path, count: int, seconds: float) -> Figures:
    """The figures of one chain: first all files at once, then 50 a second."""
    staging = folder / "staging"
    staging.mkdir()
    with starter(folder / "chain") as chain:
        warm_up = write_files(staging, 60)
        _throughput(chain, warm_up)
        rate, cpu = _throughput(chain, write_files(staging, count))
        latencies = _latencies(chain, write_files(staging, int(50 * seconds)))
        memory = chain.memory_bytes() / 1e6
    cuts = statistics.quantiles(latencies, n=100)
    return Figures(rate, cpu, cuts[49], cuts[98], memory)


def _throughput(chain: chains.Chain, files: list[Path]) -> tuple[float, float]:
    """Files a second from the first rename to the last end, and milliseconds of processor time a file."""
    before = set(chain.destination.iterdir())
    expected = sum(is_png(number) for number in range(len(files)))
    cpu, start = chain.cpu_s(), time.monotonic()
    for path in files:
        path.rename(chain.incoming / path.name)
    elapsed = _idle_since(chain) - start
    cpu = chain.cpu_s() - cpu
    delivered = set(chain.destination.iterdir()) - before
    if len(delivered) != expected:
        raise SystemExit(f"{chain.name}: {len(delivered)} PNG files were delivered, {expected} were sent")
    for path in delivered:
        path.unlink()
    return len(files) / elapsed, cpu / len(files) * 1000


def _idle_since(chain: chains.Chain) -> float:
    """When the chain had nothing more to do; waits for it."""
    while True:
        now = time.monotonic()
        # Twice, since a file may be handed over while the folders are looked at one after the other.
        if chain.is_idle() and chain.is_idle():
            return now
        time.sleep(0.005)


def _latencies(chain: chains.Chain, files: list[Path]) -> list[float]:
    """Milliseconds from the rename into incoming to the appearance at the destination, of each PNG file."""
    arrivals: dict[str, float] = {}
    expected = sum(is_png(number) for number in range(len(files)))
    watch = INotify()
    watch.add_watch(chain.destination, flags.MOVED_TO | flags.CREATE)

    def note_arrivals() -> None:
        while len(arrivals) < expected:
            events = watch.read(timeout=10_000)
            now = time.monotonic()
            if not events:
                return
            for event in events:
                arrivals.setdefault(event.name, now)

    observer = threading.Thread(target=note_arrivals)
    observer.start()
    departures = {}
    start = time.monotonic()
    for number, path in enumerate(files):
        time.sleep(max(0.0, start + number / 50 - time.monotonic()))
        departures[path.name] = time.monotonic()
        path.rename(chain.incoming / path.name)
    observer.join()
    watch.close()
    if len(arrivals) != expected:
        raise SystemExit(f"{chain.name}: {len(arrivals)} PNG files were delivered, {expected} were sent")
    return [(arrived - departures[name]) * 1000 for name, arrived in arrivals.items()]


def _line(figures: Figures) -> str:
    return (
        f"{figures.files_per_s:7.0f} files/s  {figures.cpu_ms_per_file:6.3f} ms CPU/file  "
        f"p50 {figures.p50_ms:6.2f} ms  p99 {figures.p99_ms:6.2f} ms  {figures.memory_mb:6.1f} MB PSS"
    )


def _report(references: list[Figures], ours: list[Figures], count: int) -> None:
    ref, metwork = _median(references), _median(ours)
    print(f"\nmedians of {len(ours)} round(s) of {count} files")
    print(f"ref              {_line(ref)}")
    print(f"metwork          {_line(metwork)}")
    print(f"\n{'':14}{'metwork / ref':>14}{'metwork':>12}   goal")
    rows = (
        ("files/s", ref.files_per_s, metwork.files_per_s, "ratio >= 1.0"),
        ("CPU ms/file", ref.cpu_ms_per_file, metwork.cpu_ms_per_file, "<= 1"),
        ("p50 ms", ref.p50_ms, metwork.p50_ms, "<= 2"),
        ("p99 ms", ref.p99_ms, metwork.p99_ms, "<= 5"),
        ("PSS MB", ref.memory_mb, metwork.memory_mb, "<= 120"),
    )
    for figure, theirs, own, goal in rows:
        print(f"{figure:14}{own / theirs:14.2f}{own:12.2f}   {goal}")
    print(f"\n{_machine()}")


def _median(figures: list[Figures]) -> Figures:
    columns = zip(*((f.files_per_s, f.cpu_ms_per_file, f.p50_ms, f.p99_ms, f.memory_mb) for f in figures), strict=True)
    return Figures(*(statistics.median(column) for column in columns))


def _machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
