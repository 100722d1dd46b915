from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfdata.storage import names
from mfdata.storage.names import WorkerName

BASENAMES = st.binary(min_size=1, max_size=255)


@given(BASENAMES, st.integers(0, 9))
def test_a_waiting_name_is_a_name_whatever_the_file_is_called(basename: bytes, priority: int) -> None:
    before = time.time()
    name = names.waiting_name(basename, priority)
    assert len(name.encode()) <= 255
    assert "/" not in name
    assert name[0] == str(priority)
    assert name.endswith(f"-{names.readable_end(basename)}")
    since = names.waiting_since(name)
    assert since is not None
    assert before - 1 <= since <= time.time() + 1


@given(BASENAMES, st.floats(0, 9e9))
def test_a_delayed_name_gives_back_what_it_was_made_of(basename: bytes, due: float) -> None:
    waiting = names.waiting_name(basename)
    delayed = names.delayed_name(waiting, due)
    assert names.is_delayed(delayed)
    assert not names.is_delayed(waiting)
    assert names.undelayed(delayed) == waiting
    assert names.due_time(delayed) == pytest.approx(due, abs=1e-5)


def test_delayed_names_are_in_the_order_of_their_times() -> None:
    dues = [0.0, 0.5, 1.0, 999.999999, 1_795_000_000.0, 9e9]
    delayed = [names.delayed_name(names.waiting_name(b"x"), due) for due in dues]
    assert sorted(delayed) == delayed


@pytest.mark.parametrize("name", ["", "x", "5-x", ".hidden", "1795000000000000", "179500000000000a-x"])
def test_what_is_no_name_of_ours_is_told(name: str) -> None:
    assert not names.is_delayed(name)
    assert names.waiting_since(name) is None or name == "1795000000000000"


def test_a_renamed_file_keeps_its_place() -> None:
    name = names.waiting_name(b"a-b-c", 3)
    other = names.renamed(name)
    assert other != name
    assert (other[:18], other.split("-", 3)[3]) == (name[:18], "a-b-c")


@pytest.mark.parametrize("generation", ["", "1795000000.25", "a-b"])
def test_a_worker_name_gives_back_what_it_was_made_of(generation: str) -> None:
    name = names.worker_name(generation)
    assert WorkerName.parsed(name) == (os.getpid(), generation, False)
    assert WorkerName.parsed(names.new_worker_name(name)) == (os.getpid(), generation, True)


@pytest.mark.parametrize("name", ["", "x", ".lock", "-", "x-1"])
def test_a_folder_that_is_no_worker_has_no_pid(name: str) -> None:
    assert WorkerName.parsed(name).pid == 0


def test_a_transaction_lies_beside_its_file() -> None:
    claimed = Path("/work/1-2/5-1-2-x.commit")  # a file may be called so
    assert names.prepared_path(claimed) == Path("/work/1-2/5-1-2-x.commit.tx")
    assert names.claimed_path(names.committed_path(claimed)) == claimed


@given(st.binary(max_size=255))
def test_a_waiting_name_is_plain_short_and_sortable(basename: bytes) -> None:
    first, second = names.waiting_name(basename, 3), names.waiting_name(basename, 4)
    assert first.isascii()
    assert "/" not in first
    assert len(first) <= 220
    assert first < second


def test_waiting_names_of_one_priority_are_in_order_of_time() -> None:
    given_names = [names.waiting_name(b"z", 5) for _ in range(200)]
    assert [name[:18] for name in given_names] == sorted(name[:18] for name in given_names)
    assert len(set(given_names)) == 200
