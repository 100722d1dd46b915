"""What every queue engine promises; each runs through the same tests."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mfdata.queue.local import LocalQueue
from mfdata.queue.protocol import Queue
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfext.environment import Home

TARGET = Target("p", "main")
Worker = Callable[[], Queue]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(Home("mfdata", tmp_path))
    places.queue(TARGET).mkdir(parents=True)
    return places


@pytest.fixture
def worker(places: Places) -> Iterator[Worker]:
    made: list[Queue] = []

    def make() -> Queue:
        made.append(LocalQueue(places, TARGET))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def offer(places: Places, count: int = 1, priority: int = 5) -> list[str]:
    names = [waiting_name(f"file{number}".encode(), priority) for number in range(count)]
    for name in names:
        part = places.home.path / "part"
        part.write_text(name)
        part.rename(places.queue(TARGET) / name)
    return names


def test_an_empty_queue_gives_nothing(worker: Worker) -> None:
    queue = worker()
    assert queue.claim() is None
    assert queue.depth() == 0
    assert queue.oldest() is None


def test_files_come_in_the_order_of_their_names(places: Places, worker: Worker) -> None:
    names = offer(places, 50)
    queue = worker()
    claimed = [claim.name for _ in names if (claim := queue.claim())]
    assert claimed == sorted(names)
    for name in claimed:
        (places.work(TARGET) / next(os.walk(places.work(TARGET)))[1][0] / name).unlink()


def test_a_lower_priority_number_comes_first(places: Places, worker: Worker) -> None:
    offer(places, priority=7)
    first = offer(places, priority=2)
    queue = worker()
    claim = queue.claim()
    assert claim
    assert claim.name == first[0]
    queue.settle(claim)


def test_the_newest_of_a_priority_comes_first_where_that_is_asked_for(places: Places) -> None:
    names = offer(places, 50, priority=7)
    first = offer(places, 2, priority=2)
    queue = LocalQueue(places, TARGET, newest_first=True)
    claims = [claim for _ in range(52) if (claim := queue.claim())]
    assert [claim.name for claim in claims] == [*reversed(first), *reversed(names)]
    for claim in claims:
        queue.settle(claim)
    queue.close()


def test_a_lower_priority_number_comes_first_whichever_worker_it_would_fall_to(places: Places, worker: Worker) -> None:
    offer(places, 20, priority=7)
    first = offer(places, 20, priority=2)
    queue, sibling = worker(), worker()
    claims = [claim for _ in range(40) if (claim := queue.claim())]
    assert {claim.name for claim in claims[:20]} == set(first)
    for claim in claims:
        queue.settle(claim)
    assert sibling.claim() is None


def test_a_name_that_came_during_the_listing_is_for_the_next_one(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may leave out a file that came during a listing, and yet tell of one that came after that."""
    queue = LocalQueue(places, TARGET)
    given: list[str] = []

    def listed(_queue: LocalQueue) -> list[str]:
        if given:
            return given
        given[:] = offer(places, 2)
        return given[1:]

    monkeypatch.setattr(LocalQueue, "_names", listed)
    claims = [claim for _ in range(2) if (claim := queue.claim())]
    assert [claim.name for claim in claims] == given
    for claim in claims:
        queue.settle(claim)
    queue.close()


def test_what_a_clock_that_was_ahead_has_named_is_not_left_over(places: Places) -> None:
    for ahead_s in (1, 3600):
        name = f"5-{(time.time_ns() // 1000) + ahead_s * 1_000_000:016d}-000000000000-x"
        (places.queue(TARGET) / name).touch()
        queue = LocalQueue(places, TARGET)
        claim = queue.claim()
        assert claim
        assert claim.name == name
        queue.settle(claim)
        queue.close()


def test_what_comes_one_by_one_is_claimed_without_another_listing(
    places: Places, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = worker()
    assert queue.claim() is None
    listings: list[object] = []
    listed = os.scandir

    def list_it(path: str) -> object:
        listings.append(path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", list_it)
    for _ in range(3):
        names = offer(places, 2)
        claims = [queue.claim() for _ in range(3)]
        assert [claim and claim.name for claim in claims] == [*names, None]
    assert listings == []


def test_what_comes_when_the_kernel_drops_events_is_found(places: Places, worker: Worker) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("this kernel drops no events")
    queue = worker()
    assert queue.claim() is None
    folder, aside = places.queue(TARGET), places.home.path / "aside"
    aside.touch()
    for number in range(limit + 1):
        aside.rename(folder / f"{number % 2}").rename(aside)
    (name,) = offer(places)
    claim = queue.claim()
    assert claim
    assert claim.name == name
    assert queue.claim() is None


def test_a_claimed_file_is_one_workers_alone(places: Places, worker: Worker) -> None:
    names = offer(places, 200)
    got: list[str] = []

    def take(queue: Queue) -> None:
        while claim := queue.claim():
            got.append(claim.name)
            queue.settle(claim)

    threads = [threading.Thread(target=take, args=(worker(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(names)


def test_a_released_file_waits_under_its_old_name(places: Places, worker: Worker) -> None:
    (name,) = offer(places)
    queue = worker()
    claim = queue.claim()
    assert claim
    assert queue.depth() == 0
    queue.release(claim)
    assert queue.depth() == 1
    again = queue.claim()
    assert again
    assert again.name == name
    queue.settle(again)


def test_a_settled_file_is_gone(places: Places, worker: Worker) -> None:
    offer(places)
    queue = worker()
    claim = queue.claim()
    assert claim
    assert claim.path.exists()
    queue.settle(claim)
    assert not claim.path.exists()
    assert queue.claim() is None


def test_a_new_file_wakes_a_waiting_worker(places: Places, worker: Worker) -> None:
    queue = worker()
    assert queue.claim() is None
    assert not select.select([queue], [], [], 0)[0]
    offer(places)
    assert select.select([queue], [], [], 60)[0]
    claim = queue.claim()
    assert claim
    queue.settle(claim)


def test_the_age_of_the_oldest_is_that_of_its_name(places: Places, worker: Worker) -> None:
    offer(places)
    age = worker().oldest()
    assert age is not None
    assert 0 <= age < 60
