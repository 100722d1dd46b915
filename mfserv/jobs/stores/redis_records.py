"""RedisRecords: the records of jobs in redis, by all that they are looked for, changed all at once or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mfext.errors import MetworkError, ServiceUnavailable
from mfext.log import get_logger
from mfserv.jobs.counts import counted
from mfserv.jobs.job import Job, Status, turn_after
from mfserv.jobs.stores.permits import shown
from mfserv.jobs.stores.store import WORK, KeyReused, Offer, QueueFull, kinds_of

log = get_logger(__name__)

_TIMEOUT_S = 5.0

#: KEYS: job, its content. ARGV: its record as it must be now ('' = none), commands as JSON, content to keep.
#: Gives whether it was so.
_CHANGE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(unpack(command)) end
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
return 1
"""
#: KEYS: what the key of the client stands for; waiting jobs: all, of the client, for the process; the body of the job.
#: ARGV: whether there is a key, limits of the three, commands, body. Gives what stands in the way, and its number.
_SUBMIT = """
if ARGV[1] == '1' then
    local earlier = redis.call('GET', KEYS[1])
    if earlier then return {'earlier', earlier} end
end
for index, name in ipairs({'queue', 'client', 'process'}) do
    local waiting, most = redis.call('ZCARD', KEYS[index + 1]), tonumber(ARGV[index + 1])
    if most > 0 and waiting >= most then return {name, tostring(waiting)} end
end
for _, command in ipairs(cjson.decode(ARGV[5])) do redis.call(unpack(command)) end
if ARGV[6] ~= '' then redis.call('SET', KEYS[5], ARGV[6]) end
return {'submitted', ''}
"""


class Keys:
    """Names in redis. Members of ``waiting`` and ``ready`` sort as the jobs come; ``ready``: due, to be had at once."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.all, self.bell, self.turns = (f"{prefix}:{name}" for name in ("all", "bell", "turns"))
        self.waiting, self.ready, self.due = (f"{prefix}:{name}" for name in ("waiting", "ready", "due"))
        self.running, self.expires = f"{prefix}:running", f"{prefix}:expires"
        #: How many jobs are in each state, and counts of all time: ``NAME PROCESS`` -> number.
        self.states, self.ever = f"{prefix}:states", f"{prefix}:ever"

    def job(self, job_id: str) -> str:
        """Record of a job."""
        return f"{self.prefix}:job:{job_id}"

    def body(self, job_id: str) -> str:
        """Body of its request."""
        return f"{self.prefix}:body:{job_id}"

    def answer(self, job_id: str) -> str:
        """Body of what the service answered."""
        return f"{self.prefix}:answer:{job_id}"

    def of(self, client: str) -> str:
        """Jobs of a client."""
        return f"{self.prefix}:client:{client}"

    def waiting_of(self, client: str) -> str:
        """Waiting jobs of a client."""
        return f"{self.prefix}:waiting-of:{client}"

    def waiting_for(self, process: str) -> str:
        """Waiting jobs of a process, by age."""
        return f"{self.prefix}:waiting-for:{process}"

    def key(self, job: Job) -> str:
        """What an Idempotency-Key stands for."""
        return f"{self.prefix}:key:{json.dumps([job.client, job.key])}"


def moves(keys: Keys, old: Job | None, new: Job | None) -> list[list[str]]:
    """The commands that put *new* in the place of *old* everywhere (pure)."""
    job = new or old
    if job is None:
        return []
    before, after = _places(keys, old), _places(keys, new)
    commands = [["ZREM", *place] for place in before if place not in after]
    commands += [
        ["ZADD", key, score, member] for (key, member), score in after.items() if before.get((key, member)) != score
    ]
    if old and (new is None or new.status is not old.status):
        commands.append(["HINCRBY", keys.states, f"{old.status} {job.process}", "-1"])
    if new and (old is None or new.status is not old.status):
        commands.append(["HINCRBY", keys.states, f"{new.status} {job.process}", "1"])
    for name, number in counted(old, new).items() if new else ():
        commands.append(["HINCRBY", keys.ever, f"{name} {job.process}", str(number)])
    if new and new.status is Status.RUNNING and old and old.status is Status.ACCEPTED:
        commands.append(["ZADD", keys.turns, "GT", str(new.turn), str(new.priority)])
    commands.append(["SET", keys.job(job.id), new.to_json()] if new else ["DEL", keys.job(job.id)])
    if old and (new is None or (new.status.is_final and new.status is not Status.FAILED)):
        commands.append(["DEL", keys.body(job.id)])
    if old and (new is None or (new.status is not old.status and old.status.is_final)):
        commands.append(["DEL", keys.answer(job.id)])
    if job.key and (old is None or new is None):
        commands.append(["SET", keys.key(job), job.id] if new else ["DEL", keys.key(job)])
    return commands


def _places(keys: Keys, job: Job | None) -> dict[tuple[str, str], str]:
    """In which sorted sets *job* is, as what, and with which score."""
    if job is None:
        return {}
    found = {(keys.all, job.id): str(job.seq), (keys.of(job.client), job.id): str(job.seq)}
    if job.status is Status.ACCEPTED:
        found |= {(keys.waiting, place(job)): "0", (keys.waiting_of(job.client), place(job)): "0"}
        found |= {(keys.waiting_for(job.process), job.id): repr(job.created)}
        found |= {(keys.due, job.id): repr(job.due)} if job.due else {(keys.ready, place(job)): "0"}
    if job.status is Status.RUNNING:
        found[keys.running, job.id] = repr(job.lease)
    if job.expires:
        found[keys.expires, job.id] = repr(job.expires)
    return found


def place(job: Job) -> str:
    """What sorts as the waiting jobs come; ends with the name of the job."""
    return f"{_priority(job.priority)}{job.turn:015d}:{job.seq:016d}:{job.id}"


def _priority(priority: int) -> str:
    return f"{priority:04d}:"


class RedisRecords:
    """A connection to redis, used by one thread at a time."""

    def __init__(self, url: str, name: str) -> None:
        """Connects to nothing yet: whoever cannot reach it is told when he needs it."""
        self.keys = Keys(name)
        self._url = url
        self._connected: redis.Redis | None = None
        self._last = 0

    @contextmanager
    def reached(self) -> Iterator[redis.Redis]:
        """The connection.

        Raises:
            ServiceUnavailable: there is none to be had.
        """
        try:
            if self._connected is None:
                self._connected = _connection(self._url)
            yield self._connected
        except redis.RedisError as error:
            raise ServiceUnavailable(f"redis cannot be reached: {error}", where=shown(self._url)) from None

    def close(self) -> None:
        """Let go of it."""
        if self._connected:
            self._connected.close()
            self._connected = None

    def get(self, database: redis.Redis, job_id: str) -> Job | None:
        """The record of a job."""
        text: Any = database.get(self.keys.job(job_id))
        return Job.from_json(text) if text else None

    def add_all(self, database: redis.Redis, offers: Sequence[Offer]) -> list[Job | MetworkError]:
        """Record new jobs, all of them with one wait for the disk; what became of each."""
        jobs = self._with_turns(database, [offer.job for offer in offers])
        pipeline = database.pipeline(transaction=False)
        for job, offer in zip(jobs, offers, strict=True):
            keys = [self.keys.key(job), self.keys.waiting, self.keys.waiting_of(job.client)]
            keys += [self.keys.waiting_for(job.process), self.keys.body(job.id)]
            limits = [str(number) for number in (offer.limits.queue, offer.limits.client, offer.limits.process)]
            commands = json.dumps(moves(self.keys, None, job))
            pipeline.eval(_SUBMIT, len(keys), *keys, "1" if job.key else "0", *limits, commands, offer.body)
        answers: list[Any] = pipeline.execute()
        return [
            self._outcome(database, offer, job, answer[0].decode(), answer[1].decode())
            for offer, job, answer in zip(offers, jobs, answers, strict=True)
        ]

    def replace(
        self, database: redis.Redis, found: Job, changed: Job | None, *more: list[str], content: bytes = b""
    ) -> bool:
        """Put *changed* in the place of *found*, if that is what there still is."""
        commands = [*moves(self.keys, found, changed), *more]
        for kind in sorted(kinds_of(found, changed) - {WORK}) if changed else ():
            commands.append(["PUBLISH", self.keys.bell, kind])
        keys = [self.keys.job(found.id), self.keys.answer(found.id)]
        return bool(database.eval(_CHANGE, len(keys), *keys, found.to_json(), json.dumps(commands), content))

    def with_turn(self, database: redis.Redis, job: Job) -> Job:
        """*job*, which is new among those that wait, with its turn."""
        (found,) = self._with_turns(database, [job])
        return replace(found, seq=job.seq)

    def job_counts(self, database: redis.Redis) -> tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]]:
        """States and counts of all time."""
        pipeline = database.pipeline(transaction=True)
        pipeline.hgetall(self.keys.states)
        pipeline.hgetall(self.keys.ever)
        states, ever = pipeline.execute()
        return states, ever

    def _with_turns(self, database: redis.Redis, jobs: Sequence[Job]) -> list[Job]:
        """*jobs* with number and turn. Nothing is written for it: that would be one more wait for the disk.

        Two hosts that do this at once for one client may give the same turn: then the number decides.
        """
        pipeline = database.pipeline(transaction=False)
        pipeline.time()
        for job in jobs:
            own, priority = self.keys.waiting_of(job.client), _priority(job.priority)
            pipeline.zscore(self.keys.turns, str(job.priority))
            pipeline.zrevrangebylex(own, f"({priority}~", f"[{priority}", 0, 1)
        (seconds, microseconds), *found = pipeline.execute()
        self._last = max(self._last, int(seconds) * 1_000_000 + int(microseconds))
        given: dict[tuple[str, int], int] = {}
        numbered: list[Job] = []
        for job, reached, own in zip(jobs, found[::2], found[1::2], strict=True):
            self._last += 1
            last = int(own[0].split(b":")[1]) if own else 0
            turn = turn_after(int(reached or 0), max(last, given.get((job.client, job.priority), 0)))
            given[job.client, job.priority] = turn
            numbered.append(replace(job, seq=self._last, turn=turn))
        return numbered

    def _outcome(self, database: redis.Redis, offer: Offer, job: Job, what: str, detail: str) -> Job | MetworkError:
        if what == "submitted":
            return job
        if what != "earlier":
            client, process = (job.client if what == "client" else ""), (job.process if what == "process" else "")
            return QueueFull(int(detail), client, process)
        earlier = self.get(database, detail)
        if earlier is None:
            # It has been forgotten this instant.
            return self.add_all(database, [offer])[0]
        return earlier if earlier.fingerprint == job.fingerprint else KeyReused()


def _connection(url: str) -> redis.Redis:
    """A connection to a redis that keeps what it is told.

    Raises:
        ServiceUnavailable: it would not.
    """
    made = redis.Redis.from_url(
        url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 1)
    )
    try:
        settings: Any = made.config_get("append*")
    except redis.ResponseError:
        log.warning("redis does not say whether it keeps what it is told", where=shown(url))
        return made
    if settings.get("appendonly") != "yes" or settings.get("appendfsync") != "always":
        made.close()
        raise ServiceUnavailable(
            "redis would lose jobs in a crash",
            where=shown(url),
            expected="appendonly yes and appendfsync always",
            mend="Change its configuration.",
        )
    return made
