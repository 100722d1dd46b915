"""What every engine of the job store promises; each runs through the same tests, on its real servers."""

from __future__ import annotations

import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mfext.errors import ServiceUnavailable
from mfext.testing import wait_until
from mfserv.jobs.http.gateway import Submitted, submit_all
from mfserv.jobs.job import Job, Result, Status, new_id
from mfserv.jobs.stores.rabbit_store import RabbitStore
from mfserv.jobs.stores.sqlite_store import SqliteStore
from mfserv.jobs.stores.store import DONE, STOP, WORK, JobStore, KeyReused, Limits, Offer, QueueFull
from tests.servers import RabbitMQ, Redis, redis_server

Open = Callable[[], JobStore]


class Engine(NamedTuple):
    """A kind of store, and where it is."""

    kind: type[SqliteStore] | type[RabbitStore]
    places: tuple[Any, ...]

    def open(self) -> JobStore:
        return self.kind(*self.places)


LIMITS = Limits(queue=1000, client=1000)
ANSWER = Result(200, (("Content-Type", "text/plain"),), "file", 4)


@pytest.fixture(params=["sqlite", "rabbitmq"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Makes what is needed to open the same store as often as is wanted, as processes would."""
    if request.param == "sqlite":
        return Engine(SqliteStore, (tmp_path / "jobs.sqlite", tmp_path / "bell"))
    redis, rabbitmq = request.getfixturevalue("redis"), request.getfixturevalue("rabbitmq")
    return Engine(RabbitStore, (rabbitmq.url, redis.url, f"jobs-{secrets.token_hex(4)}"))


@pytest.fixture
def opened(engine: Engine) -> Iterator[Open]:
    """Opens the store once more."""
    made: list[JobStore] = []

    def make() -> JobStore:
        made.append(engine.open())
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(opened: Open) -> JobStore:
    return opened()


def job(**fields: object) -> Job:
    made = Job(
        id=new_id(),
        client="ann",
        process="p",
        method="POST",
        uri="/p?a=1",
        headers=(("Accept", "text/plain"), ("X-Name", "é")),
        created=time.time(),
        in_spool=True,
        body_size=3,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def submit(store: JobStore, **fields: object) -> Job:
    return store.submit(job(**fields), LIMITS)


def claim(store: JobStore, lease: float = 30) -> Job:
    claimed = store.claim("worker", lease)
    assert claimed is not None
    return claimed


def get(store: JobStore, one: Job) -> Job:
    found = store.get(one.id)
    assert found is not None
    return found


def test_an_empty_store_has_nothing(store: JobStore) -> None:
    assert store.get("x") is None
    assert store.claim("worker", 30) is None
    assert store.listed() == []
    assert store.orphans() == store.expired() == []
    assert store.dismiss("x") is None
    assert set(store.counts().values()) == {0}


def test_a_job_is_kept_as_it_was_given(store: JobStore, opened: Open) -> None:
    submitted = submit(store)
    assert submitted.seq > 0
    assert get(opened(), submitted) == submitted


def test_jobs_are_claimed_by_priority_and_then_in_order(store: JobStore) -> None:
    made = [submit(store, priority=priority) for priority in (2, 0, 1, 0, 2)]
    assert [store.position(one) for one in made] == [3, 0, 2, 1, 4]
    order = [claim(store).id for _ in made]
    assert order == [made[index].id for index in (1, 3, 2, 0, 4)]
    assert store.claim("worker", 30) is None


def test_a_claimed_job_is_running_with_a_token_of_its_own(store: JobStore) -> None:
    submitted = submit(store)
    claimed = claim(store)
    assert (claimed.id, claimed.status, claimed.attempts, claimed.worker) == (submitted.id, "running", 1, "worker")
    assert claimed.token
    assert claimed.started > 0
    assert get(store, claimed) == claimed


def test_many_claim_at_once_and_each_job_goes_to_one(store: JobStore, opened: Open) -> None:
    made = {submit(store).id for _ in range(40)}
    claimed: list[str] = []

    def take(own: JobStore) -> None:
        while one := own.claim("worker", 30):
            claimed.append(one.id)

    threads = [threading.Thread(target=take, args=(opened(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(made)


def test_an_answered_job_is_successful_and_keeps_its_result(store: JobStore) -> None:
    submit(store)
    claimed = claim(store)
    assert store.answer(claimed, ANSWER)
    found = get(store, claimed)
    assert (found.status, found.result, found.progress) == ("successful", ANSWER, 100)
    assert found.expires == pytest.approx(found.finished + found.ttl)


def test_an_answer_of_400_or_more_is_a_failure_that_can_be_read(store: JobStore) -> None:
    submit(store)
    claimed = claim(store)
    assert store.answer(claimed, replace(ANSWER, http_status=422))
    found = get(store, claimed)
    assert (found.status, found.message) == ("failed", "the service answered 422")
    assert found.result is not None


def test_only_whoever_has_the_token_ends_a_job(store: JobStore) -> None:
    submit(store)
    first = claim(store)
    assert store.give_back(first, "broke off")
    second = claim(store)
    assert not store.answer(first, ANSWER)
    assert not store.fail(first, "late")
    assert not store.give_back(first, "late")
    assert not store.beat(first, 30)
    assert not store.progress(first.id, first.token, 50, "late")
    assert get(store, second) == second
    assert store.answer(second, ANSWER)


def test_a_job_given_back_waits_for_its_time(store: JobStore) -> None:
    submit(store)
    claimed = claim(store)
    assert store.give_back(claimed, "busy", 0.3)
    assert store.claim("worker", 30) is None
    assert (get(store, claimed).status, get(store, claimed).message) == ("accepted", "busy")

    def again() -> Job | None:
        store.tend()
        return store.claim("worker", 30)

    assert wait_until(again, what="the second attempt").attempts == 2  # type: ignore[union-attr]


def test_an_attempt_that_does_not_count_is_not_counted(store: JobStore) -> None:
    submit(store)
    assert store.give_back(claim(store), "busy", counts=False)
    store.tend()
    assert claim(store).attempts == 1


def test_a_job_keeps_its_place_when_it_is_given_back(store: JobStore) -> None:
    first, second = submit(store), submit(store)
    assert store.give_back(claim(store), "again")
    assert [claim(store).id, claim(store).id] == [first.id, second.id]


def test_a_dead_worker_gives_its_job_back(store: JobStore) -> None:
    submit(store)
    claimed = claim(store, lease=0.1)
    wait_until(store.orphans, what="the end of the lease")
    (back,) = store.recover(attempts=3)
    assert (back.status, back.message) == ("accepted", "the runner died")
    store.tend()
    assert claim(store).token != claimed.token


def test_a_sign_of_life_keeps_the_job(store: JobStore) -> None:
    submit(store)
    claimed = claim(store, lease=0.1)
    wait_until(store.orphans, what="the end of the lease")
    assert store.beat(claimed, 30)
    assert store.orphans() == []
    assert store.recover(attempts=3) == []


def test_a_worker_that_is_known_to_be_dead_gives_its_job_back_at_once(store: JobStore) -> None:
    submit(store)
    submit(store)
    held = claim(store)
    assert store.claim("other", 30) is not None
    assert store.recover(3, frozenset({"nobody"})) == []
    assert [one.id for one in store.recover(3, frozenset({"worker"}))] == [held.id]
    assert not store.beat(held, 30)


def test_a_job_at_which_every_worker_dies_has_failed(store: JobStore) -> None:
    submit(store)
    claimed = claim(store, lease=0.01)
    wait_until(store.orphans, what="the end of the lease")
    (failed,) = store.recover(attempts=1)
    assert (failed.status, failed.message) == ("failed", "the runner died at each of 1 attempts")
    assert get(store, claimed) == failed


def test_a_small_body_is_kept_until_a_small_result_takes_its_place(store: JobStore) -> None:
    body = b"\x00\xff" * 100
    submitted = store.submit(job(in_spool=False), LIMITS, body)
    assert store.content(submitted.id) == body
    assert store.give_back(claim(store), "again")
    assert store.content(submitted.id) == body
    store.tend()
    store.answer(claim(store), ANSWER, b"ok\x00\xff")
    assert store.content(submitted.id) == b"ok\x00\xff"
    store.dismiss(submitted.id)
    assert store.content(submitted.id) == b""


def test_an_answer_without_a_body_does_not_give_the_request_back(store: JobStore) -> None:
    submitted = store.submit(job(in_spool=False), LIMITS, b"request")
    store.answer(claim(store), replace(ANSWER, size=0))
    assert store.content(submitted.id) == b""


def test_what_is_done_together_is_done(store: JobStore, opened: Open) -> None:
    with store.together():
        made = [submit(store) for _ in range(3)]
        taken = claim(store)
        assert store.answer(taken, ANSWER)
    assert [one.id for one in opened().listed()] == [one.id for one in reversed(made)]
    assert get(opened(), taken).status is Status.SUCCESSFUL


def test_progress_is_told(store: JobStore) -> None:
    submit(store)
    claimed = claim(store)
    assert store.progress(claimed.id, claimed.token, 40, "reading")
    assert (get(store, claimed).progress, get(store, claimed).message) == (40, "reading")


def test_a_dismissed_job_is_never_claimed(store: JobStore) -> None:
    first, second = submit(store), submit(store)
    dismissed = store.dismiss(first.id)
    assert dismissed is not None
    assert dismissed.status is Status.DISMISSED
    assert store.position(second) == 0
    assert claim(store).id == second.id
    assert store.claim("worker", 30) is None


def test_a_job_dismissed_under_way_is_no_longer_its_runners(store: JobStore) -> None:
    submit(store)
    claimed = claim(store)
    store.dismiss(claimed.id)
    assert not store.beat(claimed, 30)
    assert not store.answer(claimed, ANSWER)
    assert get(store, claimed).status is Status.DISMISSED


def test_dismissing_twice_changes_nothing(store: JobStore) -> None:
    submitted = submit(store)
    assert store.dismiss(submitted.id) == store.dismiss(submitted.id)


def test_the_same_key_gives_the_same_job(store: JobStore) -> None:
    first = submit(store, key="k", fingerprint="f")
    again = submit(store, key="k", fingerprint="f")
    other_client = submit(store, key="k", fingerprint="f", client="bob")
    assert again == first
    assert other_client.id != first.id
    assert store.counts()["submitted"] == 2


def test_a_key_used_for_another_request_is_refused(store: JobStore) -> None:
    submit(store, key="k", fingerprint="f")
    with pytest.raises(KeyReused):
        submit(store, key="k", fingerprint="other")


def test_a_key_may_be_used_again_once_its_job_is_forgotten(store: JobStore) -> None:
    first = submit(store, key="k", fingerprint="f")
    store.dismiss(first.id)
    store.remove(first.id)
    assert submit(store, key="k", fingerprint="other").id != first.id


def order(store: JobStore, count: int) -> list[str]:
    """Whose jobs are claimed, one after the other."""
    return [claim(store).client for _ in range(count)]


def test_a_client_with_many_jobs_does_not_keep_another_waiting(store: JobStore) -> None:
    store.submit_all([Offer(job(client="many"), LIMITS) for _ in range(100)])
    late = submit(store, client="one")
    assert store.position(late) == 1
    assert order(store, 3) == ["many", "one", "many"]


def test_clients_take_turns_however_many_jobs_each_has(store: JobStore) -> None:
    for client, count in (("a", 6), ("b", 3), ("c", 1)):
        for _ in range(count):
            submit(store, client=client)
    assert order(store, 10) == ["a", "b", "c", "a", "b", "a", "b", "a", "a", "a"]


def test_who_had_no_jobs_for_long_has_no_credit(store: JobStore) -> None:
    for _ in range(10):
        submit(store, client="a")
    assert order(store, 6) == ["a"] * 6
    for _ in range(4):
        submit(store, client="b")
    assert order(store, 8) == ["a", "b", "a", "b", "a", "b", "a", "b"]


def test_shares_are_fair_within_a_priority_and_never_beat_it(store: JobStore) -> None:
    for _ in range(3):
        submit(store, client="a", priority=1)
    submit(store, client="b", priority=1)
    for _ in range(3):
        submit(store, client="c", priority=0)
    assert order(store, 7) == ["c", "c", "c", "a", "b", "a", "a"]


def test_a_process_may_have_a_limit_of_its_own(store: JobStore) -> None:
    limits = replace(LIMITS, process=2)
    for _ in range(2):
        store.submit(job(client=new_id()), limits)
    with pytest.raises(QueueFull, match="of p ") as full:
        store.submit(job(client="bob"), limits)
    assert (full.value.of_client, full.value.waiting) == (False, 2)
    store.submit(job(client="bob", process="other"), limits)
    claim(store)
    store.submit(job(client="bob"), limits)


def test_many_are_offered_at_once_and_each_has_its_answer(store: JobStore) -> None:
    earlier = submit(store, key="k", fingerprint="f")
    limits = Limits(queue=3, client=1000)
    wanted = [job(key="k", fingerprint="f"), job(key="k", fingerprint="other"), job(), job(), job()]
    same, reused, first, second, full = store.submit_all([Offer(one, limits) for one in wanted])
    assert same == earlier
    assert isinstance(reused, KeyReused)
    assert isinstance(full, QueueFull)
    assert [one.id for one in store.listed()] == [wanted[3].id, wanted[2].id, earlier.id]
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert earlier.turn < first.turn < second.turn


def test_a_job_that_failed_is_tried_anew_with_its_body(store: JobStore) -> None:
    submitted = store.submit(job(in_spool=False), LIMITS, b"body")
    store.answer(claim(store), replace(ANSWER, http_status=500), b"sorry")
    assert store.content(submitted.id) == b"sorry"
    waiting = submit(store)
    renewed = store.renew(submitted.id)
    assert renewed is not None
    assert (renewed.status, renewed.attempts, renewed.result, renewed.expires) == ("accepted", 0, None, 0)
    assert store.content(submitted.id) == b"body"
    assert store.renew(submitted.id) is None
    assert [claim(store).id, claim(store).id] == [waiting.id, submitted.id]
    counts = dict(store.counts())
    assert counts.pop("submitted") == sum(counts.values()) == 2


def test_only_a_job_that_failed_is_tried_anew(store: JobStore) -> None:
    submitted = submit(store)
    assert store.renew(submitted.id) is None
    assert store.renew("nosuch") is None
    store.answer(claim(store), ANSWER)
    assert store.renew(submitted.id) is None


def test_a_job_may_have_attempts_of_its_own(store: JobStore) -> None:
    submit(store, max_attempts=1)
    claim(store, lease=0.01)
    wait_until(store.orphans, what="the end of the lease")
    assert [one.status for one in store.recover(attempts=3)] == ["failed"]


def test_what_happened_to_the_jobs_of_each_process_is_counted(store: JobStore) -> None:
    assert store.job_counts() == {}
    for _ in range(2):
        submit(store, process="a")
    waiting = submit(store, process="b", created=1000.0)
    submit(store, process="b")
    store.give_back(claim(store), "again", 1000)
    store.answer(claim(store), ANSWER)
    found = store.job_counts()
    assert set(found) == {"a", "b"}
    assert dict(found["b"].now) == {Status.ACCEPTED: 2}
    assert (found["b"].oldest, found["b"].ever) == (waiting.created, {"submitted": 2})
    assert dict(found["a"].now) == {Status.ACCEPTED: 1, Status.SUCCESSFUL: 1}
    ever = found["a"].ever
    assert (ever["submitted"], ever["again"], ever["successful"]) == (2, 1, 1)
    assert [sum(ever.get(f"{name}_{n}", 0) for n in range(20)) for name in ("waited", "took")] == [2, 1]


def test_a_full_queue_refuses(store: JobStore) -> None:
    limits = Limits(queue=3, client=2)
    store.submit(job(), limits)
    store.submit(job(), limits)
    with pytest.raises(QueueFull) as of_client:
        store.submit(job(), limits)
    assert of_client.value.of_client
    store.submit(job(client="bob"), limits)
    with pytest.raises(QueueFull) as of_all:
        store.submit(job(client="carl"), limits)
    assert not of_all.value.of_client
    claim(store)
    store.submit(job(client="carl"), limits)


def test_a_client_sees_its_own_jobs_from_the_newest(store: JobStore) -> None:
    mine = [submit(store, process=f"p{number % 2}") for number in range(5)]
    theirs = submit(store, client="bob")
    newest_first = [one.id for one in reversed(mine)]
    assert [one.id for one in store.listed("ann")] == newest_first
    assert [one.id for one in store.listed("ann", limit=2)] == newest_first[:2]
    assert [one.id for one in store.listed("ann", before=mine[3].seq, limit=2)] == newest_first[2:4]
    assert {one.id for one in store.listed("ann", processes=frozenset({"p1"}))} == {mine[1].id, mine[3].id}
    claimed = claim(store)
    assert [one.id for one in store.listed("ann", statuses=frozenset({Status.RUNNING}))] == [claimed.id]
    assert [one.id for one in store.listed()] == [theirs.id, *newest_first]
    assert store.listed("nobody") == []


def test_jobs_are_forgotten_after_their_time(store: JobStore) -> None:
    submit(store, ttl=0.1)
    submit(store, ttl=1000)
    for _ in range(2):
        store.answer(claim(store), ANSWER)
    (expired,) = wait_until(store.expired, what="the end of a job's time")
    store.remove(expired)
    assert store.get(expired) is None
    assert store.expired() == []
    assert [one.id for one in store.listed("ann")] != []
    assert len(store.listed("ann")) == 1


def test_every_submitted_job_is_in_one_state(store: JobStore) -> None:
    made = [submit(store) for _ in range(6)]
    store.answer(claim(store), ANSWER)
    store.fail(claim(store), "no")
    claim(store)
    store.dismiss(made[3].id)
    store.dismiss(made[4].id)
    store.remove(made[4].id)
    counts = dict(store.counts())
    assert counts == {
        "submitted": 6,
        "expired": 1,
        "accepted": 1,
        "running": 1,
        "successful": 1,
        "failed": 1,
        "dismissed": 1,
    }


def test_the_bell_tells_of_work_and_of_ends(store: JobStore, opened: Open) -> None:
    bell = store.bell()
    other = opened()

    def heard(kind: str) -> bool:
        select.select([bell.fd], [], [], 0.05)
        return kind in bell.heard()

    submit(other)
    wait_until(lambda: heard(WORK), what="the bell for work")
    claimed = claim(other)
    other.answer(claimed, ANSWER)
    wait_until(lambda: heard(DONE), what="the bell for an end")
    submit(other)
    other.dismiss(claim(other).id)
    wait_until(lambda: heard(STOP), what="the bell for a stop")
    bell.close()


def test_what_a_killed_process_was_told_is_kept(engine: Engine, store: JobStore) -> None:
    name = engine.kind.__name__
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path, PosixPath
from tests.contracts.test_job_store import LIMITS, {name}, job
store = {name}(*{engine.places!r})
while True:
    print(store.submit(job(), LIMITS).id, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().strip() for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        told += writer.stdout.read().split()
    kept = {one.id for one in store.listed(limit=10_000)}
    assert set(told) - {""} <= kept
    assert len(kept) <= len(told) + 1
    # And every one of them is in the queue, once those are seen to that he died over.
    claimed: set[str] = set()

    def all_claimed() -> bool:
        store.tend()
        while one := store.claim("worker", 30):
            assert one.id not in claimed
            claimed.add(one.id)
        return claimed == kept

    wait_until(all_claimed, what="every job claimed")


def test_what_cannot_be_reached_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / "file" / "jobs.sqlite", tmp_path / "bell")
    with pytest.raises(ServiceUnavailable):
        store.submit(job(), LIMITS)


def test_servers_that_are_away_say_so() -> None:
    store = RabbitStore("amqp://guest:guest@127.0.0.1:1/%2F", "unix:///nowhere.sock", "q")
    with pytest.raises(ServiceUnavailable, match="redis"):
        store.submit(job(), LIMITS)


def test_a_redis_that_would_lose_jobs_is_refused() -> None:
    with redis_server() as redis:
        store = RabbitStore("amqp://guest:guest@127.0.0.1:1/%2F", redis.url, "q")
        with pytest.raises(ServiceUnavailable, match="RabbitMQ"):
            store.submit(job(), LIMITS)
        assert store.listed() == []
        assert set(store.counts().values()) == {0}
        store.close()
        change(redis.url, "appendfsync", "everysec")
        with pytest.raises(ServiceUnavailable, match="appendfsync always"):
            store.submit(job(), LIMITS)


def test_jobs_outlive_both_servers(rabbitmq: RabbitMQ, redis: Redis) -> None:
    store = RabbitStore(rabbitmq.url, redis.url, f"jobs-{secrets.token_hex(4)}")
    made = [submit(store).id for _ in range(30)]
    held = claim(store)
    rabbitmq.kill()
    with pytest.raises(ServiceUnavailable, match="RabbitMQ"):
        submit(store)
    # Its record changes without the broker; it is queued when there is one again.
    assert store.give_back(held, "again")
    redis.kill()
    with pytest.raises(ServiceUnavailable, match="redis"):
        store.get(made[0])
    redis.start()
    rabbitmq.start()
    claimed: list[str] = []

    def all_claimed() -> bool:
        store.tend()
        while one := store.claim("worker", 30):
            claimed.append(one.id)
        return len(claimed) >= len(made)

    wait_until(all_claimed, what="every job claimed")
    assert sorted(claimed) == sorted(made)
    assert store.counts()["submitted"] == 30
    store.close()


def test_a_job_for_which_there_is_no_permit_is_not_kept_unless_somebody_does_it(
    rabbitmq: RabbitMQ, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"jobs-{secrets.token_hex(4)}"
    store, other = (RabbitStore(rabbitmq.url, redis.url, name) for _ in range(2))

    def break_off(_count: int) -> None:
        other._broker.permit(1)
        claim(other)
        raise ServiceUnavailable("RabbitMQ")

    with monkeypatch.context() as patch:
        patch.setattr(store._broker, "permit", break_off)
        taken, refused = store.submit_all([Offer(job(), LIMITS) for _ in range(2)])
    assert isinstance(taken, Job)
    assert isinstance(refused, ServiceUnavailable)
    assert [one.id for one in store.listed()] == [taken.id]
    counts = dict(store.counts())
    assert counts.pop("submitted") == sum(counts.values()) == 1
    store.close()
    other.close()


def test_what_is_queued_is_accepted_though_nobody_can_be_told(
    rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_server() as redis:
        store = RabbitStore(rabbitmq.url, redis.url, f"jobs-{secrets.token_hex(4)}")
        permit = store._broker.permit

        def then_redis_dies(count: int) -> None:
            permit(count)
            redis.kill()

        with monkeypatch.context() as patch:
            patch.setattr(store._broker, "permit", then_redis_dies)
            made = submit(store)
        redis.start()
        assert claim(store).id == made.id
        store.close()


def test_jobs_that_come_together_wait_for_the_servers_as_often_as_one_does(
    rabbitmq: RabbitMQ, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.connection import AbstractConnection

    store = RabbitStore(rabbitmq.url, redis.url, f"jobs-{secrets.token_hex(4)}")
    submit(store)
    sent: list[object] = []
    send: Callable[..., None] = AbstractConnection.send_packed_command

    def noted(connection: object, command: object, *arguments: object, **words: object) -> None:
        sent.append(command)
        send(connection, command, *arguments, **words)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", noted)
    waits = []
    for number in (1, 20):
        sent.clear()
        outcomes = submit_all(store, [Offer(job(), LIMITS) for _ in range(number)])
        assert all(isinstance(one, Submitted) for one in outcomes)
        waits.append(len(sent))
    assert waits == [4, 4]  # turns, records, the bell, places in the queue
    store.close()


def test_permits_that_the_broker_lost_are_put_back(rabbitmq: RabbitMQ, redis: Redis) -> None:
    store = RabbitStore(rabbitmq.url, redis.url, f"jobs-{secrets.token_hex(4)}")
    made = [submit(store).id for _ in range(3)]
    while permit := store._broker.take():
        store._broker.used(permit)
    assert store.claim("worker", 30) is None
    store.tend()
    assert [claim(store).id for _ in made] == made
    store.close()


def change(url: str, name: str, value: str) -> None:
    import redis

    with redis.Redis.from_url(url) as client:
        client.config_set(name, value)


def test_many_may_make_the_store_at_once(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "jobs.sqlite", tmp_path / "bell") for _ in range(8)]
    threads = [threading.Thread(target=submit, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].counts()["accepted"] == 8
    for store in stores:
        store.close()


def test_in_a_file_a_job_given_back_by_a_clock_that_was_ahead_is_tried_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "jobs.sqlite", tmp_path / "bell")
    submit(store)
    assert store.give_back(claim(store), "busy", 60)
    assert store.claim("worker", 30) is None
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() - 10_800)
    assert claim(store).attempts == 2
    store.close()


def test_a_job_is_accepted_though_nobody_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "bell").touch()
    store = SqliteStore(tmp_path / "jobs.sqlite", tmp_path / "bell")
    assert submit(store).id == claim(store).id
    store.close()
