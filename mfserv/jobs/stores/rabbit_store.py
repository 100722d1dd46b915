"""The engine for several hosts: records in redis, permits to do one of them in RabbitMQ.

The records are the truth, and which job comes next is decided there. Every change of one, and of what it is looked for
by, is one script in redis, all or nothing. ``permits.py`` has the permits, by which runners of all hosts are given work
one by one: a job is submitted once there is a permit for it, and whoever finds fewer of them than jobs adds some.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import redis

from mfext.errors import MetworkError, ServiceUnavailable
from mfserv.jobs.counts import EXPIRED, SUBMITTED, JobCounts
from mfserv.jobs.job import Job, Status, claimed, is_due, is_orphan
from mfserv.jobs.stores.permits import Broker
from mfserv.jobs.stores.redis_notify import RedisBell
from mfserv.jobs.stores.redis_records import RedisRecords, place
from mfserv.jobs.stores.store import KINDS, WORK, Change, JobStore, Offer

#: Seconds between two comparisons of permits and jobs.
_COMPARE_S = 5.0
_BATCH = 200


class RabbitStore(JobStore):
    """Jobs in redis and RabbitMQ."""

    def __init__(self, rabbitmq_url: str, redis_url: str, name: str) -> None:
        """Connects to nothing yet: whoever cannot reach it is told when he needs it."""
        self._broker = Broker(rabbitmq_url, name)
        self._records = RedisRecords(redis_url, name)
        self._keys = self._records.keys
        self._compare_at = 0.0

    def submit_all(self, offers: Sequence[Offer]) -> list[Job | MetworkError]:
        with self._records.reached() as database:
            outcomes = self._records.add_all(database, offers)
            ours = {offer.job.id for offer in offers}
            new = [one for one in outcomes if isinstance(one, Job) and one.id in ours]
            try:
                self._broker.permit(len(new))
            except ServiceUnavailable as error:
                # What cannot be withdrawn was claimed: only the broker's word was lost.
                withdrawn = {job.id for job in new if self._withdraw(database, job)}
                return [error if isinstance(one, Job) and one.id in withdrawn else one for one in outcomes]
            with suppress(redis.RedisError):  # they are accepted, whether or not anybody is told at once
                database.publish(self._keys.bell, WORK)
            return outcomes

    def get(self, job_id: str) -> Job | None:
        with self._records.reached() as database:
            return self._records.get(database, job_id)

    def content(self, job_id: str) -> bytes:
        with self._records.reached() as database:
            job = self._records.get(database, job_id)
            if job is None:
                return b""
            key = self._keys.answer(job_id) if job.status.is_final else self._keys.body(job_id)
            found: Any = database.get(key)
            return bytes(found or b"")

    def claim(self, worker: str, lease: float) -> Job | None:
        with self._records.reached() as database:
            while permit := self._broker.take():
                try:
                    job = self._claim(database, worker, lease)
                except redis.RedisError:
                    self._broker.close()  # the permit goes back into the queue
                    raise
                # Now: redis has it, and who keeps a message for long is cut off by the broker.
                self._broker.used(permit)
                if job:
                    return job
            return None

    def change(self, job_id: str, change: Change, content: bytes = b"") -> Job | None:
        with self._records.reached() as database:
            while found := self._records.get(database, job_id):
                changed = change(found, _now(database))
                if changed is None or changed is found:
                    return changed
                if found.status.is_final and not changed.status.is_final:
                    changed = self._records.with_turn(database, changed)
                kept = content if changed.status.is_final else b""
                if self._records.replace(database, found, changed, content=kept):
                    if _is_ready(changed) and not _is_ready(found):
                        self._permit_again(database)
                    return changed
            return None

    def remove(self, job_id: str) -> None:
        with self._records.reached() as database:
            while found := self._records.get(database, job_id):
                counting = ["HINCRBY", self._keys.ever, f"{EXPIRED} {found.process}", "1"]
                if self._records.replace(database, found, None, counting):
                    return

    def positions(self, jobs: Sequence[Job]) -> list[int]:
        with self._records.reached() as database:
            pipeline = database.pipeline(transaction=False)
            for job in jobs:
                pipeline.zlexcount(self._keys.waiting, "-", f"({place(job)}")
            return [int(number) for number in pipeline.execute()]

    def listed(
        self,
        client: str | None = None,
        *,
        statuses: frozenset[Status] = frozenset(),
        processes: frozenset[str] = frozenset(),
        before: int = 0,
        limit: int = 100,
    ) -> list[Job]:
        found: list[Job] = []
        key = self._keys.all if client is None else self._keys.of(client)
        with self._records.reached() as database:
            for job in self._from_newest(database, key, before):
                if (not statuses or job.status in statuses) and (not processes or job.process in processes):
                    found.append(job)
                    if len(found) == limit:
                        break
        return found

    def orphans(self, dead: frozenset[str] = frozenset()) -> list[str]:
        with self._records.reached() as database:
            if not dead:
                return _names(database.zrangebyscore(self._keys.running, "-inf", _now(database)))
            names = _names(database.zrange(self._keys.running, 0, -1))
            running = filter(None, (self._records.get(database, name) for name in names))
            return [job.id for job in running if is_orphan(job, _now(database), dead)]

    def expired(self) -> list[str]:
        with self._records.reached() as database:
            return _names(database.zrangebyscore(self._keys.expires, "-inf", _now(database), 0, 1000))

    def job_counts(self) -> Mapping[str, JobCounts]:
        with self._records.reached() as database:
            states, ever = map(_by_process, self._records.job_counts(database))
            found = {}
            for process, names in ever.items():
                oldest: Any = database.zrange(self._keys.waiting_for(process), 0, 0, withscores=True)
                now = {Status(name): number for name, number in states.get(process, {}).items() if number}
                found[process] = JobCounts(now, float(oldest[0][1]) if oldest else 0.0, names)
            return found

    def now(self) -> float:
        with self._records.reached() as database:
            return _now(database)

    def tend(self) -> None:
        """Make ready what is due, and see to it that there are permits enough."""
        with self._records.reached() as database:
            for job_id in _names(database.zrangebyscore(self._keys.due, "-inf", _now(database), 0, 1000)):
                self.change(job_id, _when_due)
            if time.monotonic() >= self._compare_at:
                self._compare_at = time.monotonic() + _COMPARE_S
                self._permit_missing(database)

    def bell(self, kinds: frozenset[str] = KINDS) -> RedisBell:
        with self._records.reached() as database:
            return RedisBell(database, self._keys.bell, kinds)

    def close(self) -> None:
        self._broker.close()
        self._records.close()

    def _claim(self, database: redis.Redis, worker: str, lease: float) -> Job | None:
        """The job whose turn it is, in the hands of *worker*; None when there is none."""
        while first := _names(database.zrangebylex(self._keys.ready, "-", "+", 0, 1)):
            found = self._records.get(database, first[0].rpartition(":")[2])
            if found is None:
                database.zrem(self._keys.ready, first[0])  # redis threw the record away
                continue
            taken = claimed(found, worker, _now(database), lease)
            if taken and self._records.replace(database, found, taken):
                return taken
        return None

    def _withdraw(self, database: redis.Redis, job: Job) -> bool:
        """Forget a job that was not accepted; False = it is being done."""
        uncount = ["HINCRBY", self._keys.ever, f"{SUBMITTED} {job.process}", "-1"]
        return self._records.replace(database, job, None, uncount)

    def _permit_again(self, database: redis.Redis) -> None:
        """A permit for a job that waits again; when the broker is away, ``tend`` adds it later."""
        with suppress(ServiceUnavailable):
            self._broker.permit(1)
            database.publish(self._keys.bell, WORK)

    def _permit_missing(self, database: redis.Redis) -> None:
        missing = int(database.zcard(self._keys.ready)) - self._broker.depth()
        if missing > 0:
            self._broker.permit(missing)
            database.publish(self._keys.bell, WORK)

    def _from_newest(self, database: redis.Redis, key: str, before: int) -> Iterator[Job]:
        highest = f"({before}" if before else "+inf"
        start = 0
        while names := _names(database.zrevrangebyscore(key, highest, "-inf", start, _BATCH)):
            texts: Any = database.mget([self._keys.job(name) for name in names])
            yield from (Job.from_json(text) for text in texts if text)
            start += len(names)


def _is_ready(job: Job) -> bool:
    return job.status is Status.ACCEPTED and not job.due


def _when_due(job: Job, now: float) -> Job | None:
    return replace(job, due=0.0) if job.status is Status.ACCEPTED and job.due and is_due(job, now) else None


def _by_process(found: Mapping[bytes, bytes]) -> dict[str, dict[str, int]]:
    """*found* by process and name, of ``NAME PROCESS`` -> number."""
    by_process: dict[str, dict[str, int]] = {}
    for words, number in found.items():
        name, _, process = words.decode().partition(" ")
        by_process.setdefault(process, {})[name] = int(number)
    return by_process


def _now(database: redis.Redis) -> float:
    seconds, microseconds = _pair(database.time())
    return seconds + microseconds / 1e6


def _pair(value: Any) -> tuple[int, int]:
    return int(value[0]), int(value[1])


def _names(found: Any) -> list[str]:
    return [name.decode() for name in found]
