"""The engine for several hosts: records in redis, the queue of their names in RabbitMQ.

The record is the truth. Every change of it, of what it is looked for by, and of what still has to be queued is one
script in redis, all or nothing. What is in ``outbox`` must get into the queue: whoever dies on the way leaves it there
for the next one. A name may be in the queue twice, or although its job is gone: that is seen when it is claimed, so
that the queue needs to lose nothing and may repeat anything.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pika
import pika.exceptions
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mfext.errors import ServiceUnavailable
from mfext.log import get_logger
from mfserv.jobs.job import Job, Status, claimed, is_orphan
from mfserv.jobs.store import DONE, KINDS, WORK, Change, JobStore, KeyReused, Limits, QueueFull, kinds_of

log = get_logger(__name__)


#: Priorities of the queue; the broker's highest is ours of 0.
_PRIORITIES = 10
#: Room for numbers of jobs below a priority, in a score that a double holds exactly.
_SEQ_ROOM = 10**11
#: Seconds after which what is in the outbox is queued once more, and between two comparisons with the queue.
_OUTBOX_S, _COMPARE_S = 5.0, 30.0
_TIMEOUT_S = 5.0
_BATCH = 200

#: KEYS: job, its content. ARGV: its record as it must be now ('' = none), commands as JSON, content to keep.
#: Gives whether it was so.
_CHANGE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(unpack(command)) end
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
return 1
"""
#: KEYS: what the key of the client stands for, all waiting jobs, those of the client, the body of the job.
#: ARGV: whether there is a key, limits, commands, body. Gives what stands in the way, with its number or name.
_SUBMIT = """
if ARGV[1] == '1' then
    local earlier = redis.call('GET', KEYS[1])
    if earlier then return {'earlier', earlier} end
end
local waiting = redis.call('ZCARD', KEYS[2])
if waiting >= tonumber(ARGV[2]) then return {'full', tostring(waiting)} end
local own = redis.call('ZCARD', KEYS[3])
if own >= tonumber(ARGV[3]) then return {'own', tostring(own)} end
for _, command in ipairs(cjson.decode(ARGV[4])) do redis.call(unpack(command)) end
if ARGV[5] ~= '' then redis.call('SET', KEYS[4], ARGV[5]) end
return {'submitted', ''}
"""


class RabbitStore(JobStore):
    """Jobs in redis and RabbitMQ."""

    def __init__(self, rabbitmq_url: str, redis_url: str, name: str) -> None:
        """Connects to nothing yet: whoever cannot reach it is told when he needs it."""
        self.keys = Keys(name)
        self._broker = Broker(rabbitmq_url, name)
        self._redis_url = redis_url
        self._connected: redis.Redis | None = None
        self._compare_at = 0.0

    def submit(self, job: Job, limits: Limits, body: bytes = b"") -> Job:
        with self._redis() as database:
            job = replace(job, seq=int(database.incr(self.keys.seq)))
            outcome = self._add(database, job, limits, body)
            if outcome is not job:
                return outcome
            try:
                self._broker.publish(job.id, job.priority)
            except ServiceUnavailable:
                if self._change(database, job, None, ["HINCRBY", self.keys.counts, "submitted", "-1"]):
                    raise
                # Only the broker's word was lost: somebody has claimed the job already.
                return job
            self._queued(database, job.id)
            return job

    def get(self, job_id: str) -> Job | None:
        with self._redis() as database:
            return self._get(database, job_id)

    def content(self, job_id: str) -> bytes:
        with self._redis() as database:
            found: Any = database.get(self.keys.content(job_id))
            return bytes(found or b"")

    def claim(self, worker: str, lease: float) -> Job | None:
        with self._redis() as database:
            while message := self._broker.take():
                try:
                    claimed_job = self._claim(database, message.job_id, worker, lease)
                except redis.RedisError:
                    self._broker.close()  # the name goes back into the queue
                    raise
                # Now: redis has it, and who keeps a message for long is cut off by the broker.
                self._broker.acknowledge(message)
                if claimed_job:
                    return claimed_job
            return None

    def change(self, job_id: str, change: Change, content: bytes = b"") -> Job | None:
        with self._redis() as database:
            while found := self._get(database, job_id):
                changed = change(found, _now(database))
                if changed is None or changed is found:
                    return changed
                if self._change(database, found, changed, content=content if changed.status.is_final else b""):
                    self._queue_again(database, found, changed)
                    return changed
            return None

    def remove(self, job_id: str) -> None:
        with self._redis() as database:
            while found := self._get(database, job_id):
                if self._change(database, found, None, ["HINCRBY", self.keys.counts, "expired", "1"]):
                    return

    def position(self, job: Job) -> int:
        with self._redis() as database:
            return int(database.zcount(self.keys.waiting, "-inf", f"({_place(job)}"))

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
        key = self.keys.all if client is None else self.keys.of(client)
        with self._redis() as database:
            for job in self._from_newest(database, key, before):
                if (not statuses or job.status in statuses) and (not processes or job.process in processes):
                    found.append(job)
                    if len(found) == limit:
                        break
        return found

    def orphans(self, dead: frozenset[str] = frozenset()) -> list[str]:
        with self._redis() as database:
            if not dead:
                return _names(database.zrangebyscore(self.keys.running, "-inf", _now(database)))
            running = filter(
                None, (self._get(database, name) for name in _names(database.zrange(self.keys.running, 0, -1)))
            )
            return [job.id for job in running if is_orphan(job, _now(database), dead)]

    def expired(self) -> list[str]:
        with self._redis() as database:
            return _names(database.zrangebyscore(self.keys.expires, "-inf", _now(database), 0, 1000))

    def counts(self) -> Mapping[str, int]:
        with self._redis() as database:
            found: Any = database.hgetall(self.keys.counts)
            counted = {name.decode(): int(count) for name, count in found.items()}
            return {**dict.fromkeys((*map(str, Status), "submitted", "expired"), 0), **counted}

    def now(self) -> float:
        with self._redis() as database:
            return _now(database)

    def tend(self) -> None:
        """Queue what is due, and what somebody died over before it was queued, or the broker does not know any more."""
        with self._redis() as database:
            now = _now(database)
            names = _names(database.zrangebyscore(self.keys.due, "-inf", now, 0, 1000))
            names += _names(database.zrangebyscore(self.keys.outbox, "-inf", now - _OUTBOX_S, 0, 1000))
            names += self._unknown_to_broker(database)
            for job_id in dict.fromkeys(names):
                job = self._get(database, job_id)
                if job and job.status is Status.ACCEPTED:
                    self._broker.publish(job_id, job.priority)
                self._queued(database, job_id)

    def bell(self) -> RedisBell:
        with self._redis() as database:
            return RedisBell(database, self.keys.bell)

    def close(self) -> None:
        self._broker.close()
        if self._connected:
            self._connected.close()
            self._connected = None

    def _add(self, database: redis.Redis, job: Job, limits: Limits, body: bytes) -> Job:
        """*job* once it is recorded, or the one there was."""
        commands = [*moves(self.keys, None, job), ["HINCRBY", self.keys.counts, "submitted", "1"]]
        commands.append(["ZADD", self.keys.outbox, str(_now(database)), job.id])
        keys = [self.keys.key(job), self.keys.waiting, self.keys.waiting_of(job.client), self.keys.content(job.id)]
        arguments = ["1" if job.key else "0", str(limits.queue), str(limits.client), json.dumps(commands), body]
        answer: Any = database.eval(_SUBMIT, len(keys), *keys, *arguments)
        what, detail = answer[0].decode(), answer[1].decode()
        if what == "full":
            raise QueueFull(int(detail))
        if what == "own":
            raise QueueFull(int(detail), job.client)
        if what == "submitted":
            return job
        earlier = self._get(database, detail)
        if earlier and earlier.fingerprint != job.fingerprint:
            raise KeyReused
        # It has been forgotten this instant.
        return earlier or self._add(database, job, limits, body)

    def _claim(self, database: redis.Redis, job_id: str, worker: str, lease: float) -> Job | None:
        """The job of that name in the hands of *worker*; None when it is not to be had."""
        while found := self._get(database, job_id):
            taken = claimed(found, worker, _now(database), lease)
            if taken is None or self._change(database, found, taken):
                return taken
        return None

    def _get(self, database: redis.Redis, job_id: str) -> Job | None:
        text: Any = database.get(self.keys.job(job_id))
        return Job.from_json(text) if text else None

    def _change(
        self, database: redis.Redis, found: Job, changed: Job | None, *more: list[str], content: bytes = b""
    ) -> bool:
        """Put *changed* in the place of *found*, if that is what there still is."""
        commands = [*moves(self.keys, found, changed), *more]
        for kind in sorted(kinds_of(found, changed) - {WORK}) if changed else ():
            commands.append(["PUBLISH", self.keys.bell, kind])
        if changed and changed.status is Status.ACCEPTED and not changed.due:
            commands.append(["ZADD", self.keys.outbox, str(changed.updated), changed.id])
        keys = [self.keys.job(found.id), self.keys.content(found.id)]
        return bool(database.eval(_CHANGE, len(keys), *keys, found.to_json(), json.dumps(commands), content))

    def _queue_again(self, database: redis.Redis, before: Job, after: Job) -> None:
        """Queue a job that waits again. When the broker is away it stays in the outbox."""
        if WORK in kinds_of(before, after) and not after.due:
            with suppress(ServiceUnavailable):
                self._broker.publish(after.id, after.priority)
                self._queued(database, after.id)

    def _queued(self, database: redis.Redis, job_id: str) -> None:
        pipeline = database.pipeline(transaction=True)
        pipeline.zrem(self.keys.outbox, job_id)
        pipeline.zrem(self.keys.due, job_id)
        pipeline.publish(self.keys.bell, WORK)
        pipeline.execute()

    def _unknown_to_broker(self, database: redis.Redis) -> list[str]:
        """Waiting jobs whose names the queue may not have, because the broker lost it."""
        if time.monotonic() < self._compare_at:
            return []
        self._compare_at = time.monotonic() + _COMPARE_S
        queued = self._broker.depth()
        waiting = int(database.zcard(self.keys.waiting)) - int(database.zcard(self.keys.due))
        if queued >= waiting:
            return []
        names = set(_names(database.zrange(self.keys.waiting, 0, -1)))
        return sorted(names - set(_names(database.zrange(self.keys.due, 0, -1))))

    def _from_newest(self, database: redis.Redis, key: str, before: int) -> Iterator[Job]:
        highest = f"({before}" if before else "+inf"
        start = 0
        while names := _names(database.zrevrangebyscore(key, highest, "-inf", start, _BATCH)):
            texts: Any = database.mget([self.keys.job(name) for name in names])
            yield from (Job.from_json(text) for text in texts if text)
            start += len(names)

    @contextmanager
    def _redis(self) -> Iterator[redis.Redis]:
        try:
            if self._connected is None:
                self._connected = _connection(self._redis_url)
            yield self._connected
        except redis.RedisError as error:
            raise ServiceUnavailable(f"redis cannot be reached: {error}", where=_shown(self._redis_url)) from None


class Keys:
    """Names in redis."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.seq, self.all, self.counts, self.bell = (f"{prefix}:{name}" for name in ("seq", "all", "counts", "bell"))
        self.waiting, self.due, self.outbox = (f"{prefix}:{name}" for name in ("waiting", "due", "outbox"))
        self.running, self.expires = f"{prefix}:running", f"{prefix}:expires"

    def job(self, job_id: str) -> str:
        """Record of a job."""
        return f"{self.prefix}:job:{job_id}"

    def content(self, job_id: str) -> str:
        """Body or result that is kept with a job."""
        return f"{self.prefix}:content:{job_id}"

    def of(self, client: str) -> str:
        """Jobs of a client."""
        return f"{self.prefix}:client:{client}"

    def waiting_of(self, client: str) -> str:
        """Waiting jobs of a client."""
        return f"{self.prefix}:waiting:{client}"

    def key(self, job: Job) -> str:
        """What an Idempotency-Key stands for."""
        return f"{self.prefix}:key:{json.dumps([job.client, job.key])}"


def moves(keys: Keys, old: Job | None, new: Job | None) -> list[list[str]]:
    """The commands that put *new* in the place of *old* everywhere (pure)."""
    job = new or old
    if job is None:
        return []
    before, after = _scores(keys, old), _scores(keys, new)
    commands = [["ZREM", key, job.id] for key in before if key not in after]
    commands += [["ZADD", key, score, job.id] for key, score in after.items() if before.get(key) != score]
    if old and (new is None or new.status is not old.status):
        commands.append(["HINCRBY", keys.counts, str(old.status), "-1"])
    if new and (old is None or new.status is not old.status):
        commands.append(["HINCRBY", keys.counts, str(new.status), "1"])
    commands.append(["SET", keys.job(job.id), new.to_json()] if new else ["DEL", keys.job(job.id)])
    if old and (new is None or (new.status.is_final and new.status is not old.status)):
        commands.append(["DEL", keys.content(job.id)])
    if job.key and (old is None or new is None):
        commands.append(["SET", keys.key(job), job.id] if new else ["DEL", keys.key(job)])
    return commands


def _scores(keys: Keys, job: Job | None) -> dict[str, str]:
    """In which sorted sets *job* is, and where."""
    if job is None:
        return {}
    found = {keys.all: str(job.seq), keys.of(job.client): str(job.seq)}
    if job.status is Status.ACCEPTED:
        found |= {keys.waiting: str(_place(job)), keys.waiting_of(job.client): str(job.seq)}
        found |= {keys.due: repr(job.due)} if job.due else {}
    if job.status is Status.RUNNING:
        found[keys.running] = repr(job.lease)
    if job.expires:
        found[keys.expires] = repr(job.expires)
    return found


def _place(job: Job) -> int:
    return job.priority * _SEQ_ROOM + job.seq


class Message:
    """A name from the queue, with what the broker must be told to forget it."""

    def __init__(self, job_id: str, channel: Any, tag: int) -> None:
        self.job_id = job_id
        self.channel = channel
        self.tag = tag


class Broker:
    """The queue in RabbitMQ. A connection that was lost is made anew once; nothing of what is done twice does harm."""

    def __init__(self, url: str, queue: str) -> None:
        # It tells every failure many times over, besides raising it.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._url = url
        self._queue = queue
        self._connection: Any = None
        self._channel: Any = None

    def publish(self, job_id: str, priority: int) -> None:
        """Queue a name; it is on the broker's disk when this returns."""
        properties = pika.BasicProperties(delivery_mode=2, priority=max(0, _PRIORITIES - 1 - priority))
        self._try(
            lambda channel: channel.basic_publish(
                "", self._queue, job_id.encode("ascii"), properties=properties, mandatory=True
            )
        )

    def take(self) -> Message | None:
        """The next name; None when there is none. No name waits in a buffer of ours, so that priorities hold."""
        method, _, body = self._try(lambda channel: channel.basic_get(self._queue))
        return Message(body.decode("ascii", "replace"), self._channel, method.delivery_tag) if method else None

    def acknowledge(self, message: Message) -> None:
        """The name is dealt with. If this does not get through it comes again, and is seen to be old."""
        with suppress(pika.exceptions.AMQPError):
            message.channel.basic_ack(message.tag)

    def depth(self) -> int:
        """Names in the queue."""
        declared = self._try(lambda channel: channel.queue_declare(self._queue, passive=True))
        return int(declared.method.message_count)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection:
            with suppress(pika.exceptions.AMQPError):
                self._connection.close()
        self._connection = self._channel = None

    def _try(self, act: Callable[[Any], Any]) -> Any:
        is_old = self._channel is not None
        try:
            return act(self._open())
        except (pika.exceptions.AMQPError, OSError) as error:
            self.close()
            if is_old:
                return self._try(act)
            raise ServiceUnavailable(f"RabbitMQ cannot be reached: {_words(error)}", where=_shown(self._url)) from None

    def _open(self) -> Any:
        if self._channel is None:
            parameters = pika.URLParameters(self._url)
            parameters.socket_timeout = parameters.blocked_connection_timeout = _TIMEOUT_S
            parameters.stack_timeout = parameters.socket_timeout
            self._connection = pika.BlockingConnection(parameters)
            channel = self._connection.channel()
            # Quorum queues have no priorities before RabbitMQ 4.
            arguments = {"x-max-priority": _PRIORITIES}
            channel.queue_declare(self._queue, durable=True, arguments=arguments)
            channel.confirm_delivery()
            self._channel = channel
        return self._channel


class RedisBell:
    """Hears what is published, in a thread of its own, since only that has a file to poll."""

    def __init__(self, database: redis.Redis, channel: str) -> None:
        self._pubsub = database.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._pubsub.subscribe(channel)
        self._kinds: set[str] = set()
        self._lock = threading.Lock()
        self._is_lost = self._is_closed = False
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="job-bell", daemon=True)
        self._thread.start()

    @property
    def fd(self) -> int:
        """Becomes readable when it rings."""
        return self._read

    def heard(self) -> set[str]:
        """What rang since the last call.

        Raises:
            ServiceUnavailable: it will never ring again.
        """
        with suppress(BlockingIOError):
            os.read(self._read, 4096)
        with self._lock:
            kinds, self._kinds = self._kinds, set()
        if self._is_lost:
            raise ServiceUnavailable("redis cannot be reached")
        return kinds

    def close(self) -> None:
        """Hear no more."""
        self._is_closed = True
        self._thread.join()
        self._pubsub.close()
        os.close(self._read)
        os.close(self._write)

    def _listen(self) -> None:
        try:
            while not self._is_closed:
                message = self._pubsub.get_message(timeout=0.2)
                if message:
                    self._ring(message["data"].decode())
        except (redis.RedisError, OSError, ValueError):
            self._is_lost = True
            self._ring(DONE)

    def _ring(self, kind: str) -> None:
        with self._lock:
            self._kinds |= {kind} & KINDS
        with suppress(BlockingIOError, OSError):
            os.write(self._write, b"x")


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
        log.warning("redis does not say whether it keeps what it is told", where=_shown(url))
        return made
    if settings.get("appendonly") != "yes" or settings.get("appendfsync") != "always":
        made.close()
        raise ServiceUnavailable(
            "redis would lose jobs in a crash",
            where=_shown(url),
            expected="appendonly yes and appendfsync always",
            mend="Change its configuration.",
        )
    return made


def _now(database: redis.Redis) -> float:
    seconds, microseconds = _pair(database.time())
    return seconds + microseconds / 1e6


def _pair(value: Any) -> tuple[int, int]:
    return int(value[0]), int(value[1])


def _names(found: Any) -> list[str]:
    return [name.decode() for name in found]


def _shown(url: str) -> str:
    """*url* without its secret."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://{after}" if at else url


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
