"""Instruments: what a process counts, in a file of its own that is mapped into its memory.

To count is to write eight bytes into memory: no call to the kernel, no lock, and nothing is lost when the process is
killed. Whoever collects reads the files of all processes and adds them up; what dead processes counted is kept in
``dead``, so that a counter never goes back while the module runs.

A file is a head, ``MAGIC`` and the bytes used, and records: length of the key and number of values (4 bytes each), the
key filled up to 8 bytes, the values as doubles. The key is JSON: name of the metric, then the values of its labels.
The process holds a lock on its file, which says that it lives.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
from _thread import allocate_lock
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mfext.environment import Home
from mfext.fs.atomic import replace_file
from mfext.fs.lock import try_lock
from mfext.metrics.metric import Metric

#: Values by name of the metric and values of its labels.
Counts = dict[tuple[str, ...], tuple[float, ...]]

MAGIC = b"MWCOUNT1"
_HEAD, _SIZES = struct.Struct("<8sQ"), struct.Struct("<II")
_FIRST_SIZE = 4096
#: Files of processes above which a new process adds up those of the dead.
_MANY = 200
_DEAD = "dead"


def metrics_folder(home: Home) -> Path:
    """Where processes count; it goes with the run of the module."""
    return home.run / "metrics"


class Instruments:
    """The counters and histograms of this process. A full disk costs the counts, never the work."""

    def __init__(self, folder: Path) -> None:
        """Args: the folder in which all processes of the module count."""
        self._folder = folder
        self._series: dict[tuple[str, tuple[str, ...]], Series] = {}
        #: Threads count one after another.
        self.lock = allocate_lock()
        self._file: _CountFile | None = None
        self._is_broken = False

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1.0) -> None:
        """Let the counter grow by *amount*; *labels* are the values of its labels, in their order."""
        series = self.series(metric, labels)
        with self.lock:
            series.add(0, amount)

    def observe(self, metric: Metric, labels: tuple[str, ...], value: float, times: int = 1) -> None:
        """Take *value* into the histogram, *times* times."""
        series = self.series(metric, labels)
        with self.lock:
            series.observe(value, times)

    def series(self, metric: Metric, labels: tuple[str, ...]) -> Series:
        """The values of *metric* with *labels*, for who counts often; they change under ``lock``."""
        found = self._series.get((metric.name, labels))
        return found or self._made(metric, labels)

    def close(self) -> None:
        """Count no more; what was counted is kept."""
        if self._file:
            self._file.close()
            self._file = None
        self._series.clear()
        self._is_broken = True

    def _made(self, metric: Metric, labels: tuple[str, ...]) -> Series:
        with self.lock:
            if known := self._series.get((metric.name, labels)):
                return known  # another thread was quicker
            key = json.dumps([metric.name, *labels]).encode("ascii")
            values = len(metric.buckets) + 2 if metric.buckets else 1
            series = Series(None, 0, metric.buckets)
            if not self._is_broken:
                try:
                    self._file = self._file or _CountFile(self._folder)
                    series = Series(self._file, self._file.add_record(key, values), metric.buckets)
                except (OSError, ValueError):
                    self._is_broken = True
            self._series[metric.name, labels] = series
            return series


class Series:
    """The values of one metric with one set of labels."""

    __slots__ = ("_at", "_bounds", "_file")

    def __init__(self, file: _CountFile | None, at: int, bounds: tuple[float, ...]) -> None:
        self._file, self._at, self._bounds = file, at, bounds

    def add(self, number: int, amount: float) -> None:
        """Let the value with this *number* grow."""
        if self._file:
            self._file.values[self._at + number] += amount

    def observe(self, value: float, times: int = 1) -> None:
        """Take *value* in: of the histogram it is."""
        if self._file:
            values, at = self._file.values, self._at
            values[at + bisect_left(self._bounds, value)] += times
            values[at + len(self._bounds) + 1] += value * times


class _CountFile:
    """A file of counts that grows."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with os.scandir(folder) as entries:
            is_many = sum(1 for _ in entries) > _MANY
        if is_many:
            add_up_dead(folder)
        path = folder / f"{os.getpid()}-{os.urandom(4).hex()}"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        # What a write past the end of a full disk does to a map is a signal: the blocks are there before.
        os.posix_fallocate(self._descriptor, 0, _FIRST_SIZE)
        self._map = mmap.mmap(self._descriptor, _FIRST_SIZE)
        #: All of the file as doubles: of the records, those where values are.
        self.values = memoryview(self._map).cast("d")
        self._used = _HEAD.size
        _HEAD.pack_into(self._map, 0, MAGIC, self._used)

    def add_record(self, key: bytes, values: int) -> int:
        """Where in ``values`` the *values* of a new record begin, all 0."""
        padded = key + b" " * (-len(key) % 8)
        at = self._used + _SIZES.size + len(padded)
        end = at + 8 * values
        size = len(self._map)
        if end > size:
            while end > size:
                size *= 2
            os.posix_fallocate(self._descriptor, 0, size)
            self.values.release()  # a map that somebody looks into keeps its size
            self._map.resize(size)
            self.values = memoryview(self._map).cast("d")
        self._map[self._used : end] = _SIZES.pack(len(padded), values) + padded + bytes(8 * values)
        self._used = end
        # Last: a reader sees whole records only.
        _HEAD.pack_into(self._map, 0, MAGIC, end)
        return at // 8

    def close(self) -> None:
        self.values.release()
        self._map.close()
        os.close(self._descriptor)


def read_counts(folder: Path) -> Counts:
    """The sum of what all processes counted, living and dead, since the module was started."""
    sums: dict[tuple[str, ...], list[float]] = {}
    with _locked(folder, fcntl.LOCK_SH):
        dead = _read_dead(folder)
        for counts in (dead.counts, *(_counts_of(path) for path in _files(folder) if path.name not in dead.files)):
            _add_up(sums, counts)
    return {key: tuple(values) for key, values in sums.items()}


def add_up_dead(folder: Path) -> None:
    """Keep what dead processes counted as one sum, and remove their files.

    A file that is in the sum is named in it, so that a kill between the sum and the removal counts nothing twice.
    """
    with suppress(OSError), _locked(folder, fcntl.LOCK_EX):
        former = _read_dead(folder)
        present = _files(folder)
        dead = [path for path in present if path.name not in former.files and _is_dead(path)]
        sums = {key: list(values) for key, values in former.counts.items()}
        for path in dead:
            _add_up(sums, _counts_of(path))
        named = [path for path in present if path.name in former.files]
        if dead:
            counts = [[list(key), values] for key, values in sums.items()]
            files = [path.name for path in (*dead, *named)]
            replace_file(folder / _DEAD, json.dumps({"files": files, "counts": counts}))
        for path in (*dead, *named):
            path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Nobody adds up while another reads: what is in neither or in both would be wrong for a moment."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except FileNotFoundError:
        yield  # nothing was counted yet
        return
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


class _Dead:
    """What is kept of dead processes."""

    def __init__(self, files: Iterable[str] = (), counts: Mapping[tuple[str, ...], tuple[float, ...]] = {}) -> None:
        #: Names of files that are in the sum, and may still be there.
        self.files = frozenset(files)
        self.counts = counts


def _read_dead(folder: Path) -> _Dead:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((folder / _DEAD).read_bytes())
        return _Dead(kept["files"], {tuple(key): tuple(values) for key, values in kept["counts"]})
    return _Dead()


def _files(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(path for path in folder.iterdir() if path.name != _DEAD and not path.name.startswith("."))
    return []


def _is_dead(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # One that is not locked yet was made a moment ago.
            return try_lock(file.fileno()) and not Path(f"/proc/{path.name.partition('-')[0]}").exists()
    except OSError:
        return False


def _counts_of(path: Path) -> Counts:
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    return dict(_records(data))


def _records(data: bytes) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
    if len(data) < _HEAD.size:
        return
    magic, used = _HEAD.unpack_from(data)
    at = _HEAD.size
    while magic == MAGIC and at + _SIZES.size <= min(used, len(data)):
        length, number = _SIZES.unpack_from(data, at)
        values = at + _SIZES.size + length
        end = values + 8 * number
        if end > len(data):
            return
        with suppress(ValueError):
            yield tuple(json.loads(data[at + _SIZES.size : values])), struct.unpack_from(f"<{number}d", data, values)
        at = end


def _add_up(sums: dict[tuple[str, ...], list[float]], counts: Mapping[tuple[str, ...], tuple[float, ...]]) -> None:
    for key, values in counts.items():
        present = sums.setdefault(key, [0.0] * len(values))
        if len(present) == len(values):
            for number, value in enumerate(values):
                present[number] += value
