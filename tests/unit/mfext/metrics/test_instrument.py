from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mfext.metrics import instrument
from mfext.metrics.instrument import Instruments, add_up_dead, read_counts
from mfext.metrics.metric import counter, histogram

FILES = counter("metwork_files_total", "Files.", "plugin", "step")
TOOK = histogram("metwork_file_seconds", "Time.", "plugin", buckets=(0.1, 1.0))
KEY = ("metwork_files_total", "a", "main")


@pytest.fixture
def counting(tmp_path: Path) -> Callable[[int], int]:
    """Count in another process that is then killed; its pid."""

    def count(number: int) -> int:
        pid = os.fork()
        if not pid:
            instruments = Instruments(tmp_path)
            for _ in range(number):
                instruments.add(FILES, ("a", "main"))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        return pid

    return count


def test_what_is_counted_is_read_at_once(tmp_path: Path) -> None:
    instruments = Instruments(tmp_path)
    instruments.add(FILES, ("a", "main"))
    instruments.add(FILES, ("a", "main"), 2)
    instruments.add(FILES, ('é"', "main"))
    assert read_counts(tmp_path) == {KEY: (3.0,), ("metwork_files_total", 'é"', "main"): (1.0,)}


def test_nothing_was_counted_where_there_is_nothing(tmp_path: Path) -> None:
    assert read_counts(tmp_path / "no") == {}
    assert read_counts(tmp_path) == {}


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([0.1], (1.0, 0.0, 0.0, 0.1)),
        ([0.11], (0.0, 1.0, 0.0, 0.11)),
        ([2.0, 3.0], (0.0, 0.0, 2.0, 5.0)),
        ([0.0, 0.5, 7.0], (1.0, 1.0, 1.0, 7.5)),
    ],
)
def test_an_observation_is_in_the_bucket_of_its_bound(
    tmp_path: Path, values: list[float], counts: tuple[float, ...]
) -> None:
    instruments = Instruments(tmp_path)
    for value in values:
        instruments.observe(TOOK, ("a",), value)
    assert read_counts(tmp_path) == {("metwork_file_seconds", "a"): counts}


def test_many_labels_find_room(tmp_path: Path) -> None:
    instruments = Instruments(tmp_path)
    for number in range(2000):
        instruments.add(FILES, (f"plugin_{number}", "main"), number)
    counts = read_counts(tmp_path)
    assert len(counts) == 2000
    assert counts["metwork_files_total", "plugin_1999", "main"] == (1999.0,)


def test_threads_count_together(tmp_path: Path) -> None:
    instruments = Instruments(tmp_path)

    def count() -> None:
        for _ in range(5000):
            instruments.add(FILES, ("a", "main"))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_counts(tmp_path)[KEY] == (20_000.0,)


def test_what_killed_processes_counted_is_kept(tmp_path: Path, counting: Callable[[int], int]) -> None:
    instruments = Instruments(tmp_path)
    instruments.add(FILES, ("a", "main"))
    counting(10)
    counting(5)
    assert read_counts(tmp_path)[KEY] == (16.0,)
    add_up_dead(tmp_path)
    assert read_counts(tmp_path)[KEY] == (16.0,)
    counting(1)
    add_up_dead(tmp_path)
    instruments.add(FILES, ("a", "main"))
    assert read_counts(tmp_path)[KEY] == (18.0,)
    assert len([path for path in tmp_path.iterdir() if "-" in path.name]) == 1


def test_a_kill_between_the_sum_and_the_removal_counts_nothing_twice(
    tmp_path: Path, counting: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting(10)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_args, **_keys: None)
        add_up_dead(tmp_path)
    assert read_counts(tmp_path)[KEY] == (10.0,)
    add_up_dead(tmp_path)
    add_up_dead(tmp_path)
    assert read_counts(tmp_path)[KEY] == (10.0,)
    assert not [path for path in tmp_path.iterdir() if "-" in path.name]


def test_files_of_the_dead_do_not_gather(
    tmp_path: Path, counting: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instrument, "_MANY", 5)
    for _ in range(20):
        counting(1)
    assert len(list(tmp_path.iterdir())) <= 8
    assert read_counts(tmp_path)[KEY] == (20.0,)


@pytest.mark.parametrize(
    "garbage", [b"", b"MW", b"MWCOUNT1" + b"\xff" * 8, b"MWCOUNT1" + b"\xff" * 4000, os.urandom(500)]
)
def test_a_broken_file_costs_its_own_counts_only(tmp_path: Path, garbage: bytes) -> None:
    instruments = Instruments(tmp_path)
    instruments.add(FILES, ("a", "main"))
    (tmp_path / "1-broken").write_bytes(garbage)
    (tmp_path / "dead").write_bytes(garbage)
    assert read_counts(tmp_path)[KEY] == (1.0,)


def test_a_process_that_cannot_count_works_on(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("a file where the folder should be")
    instruments = Instruments(tmp_path / "metrics")
    instruments.add(FILES, ("a", "main"))
    instruments.observe(TOOK, ("a",), 1.0)


def test_to_count_imports_no_library() -> None:
    code = "import sys, mfext.metrics.instrument; print([name for name in sys.modules if 'prometheus' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
