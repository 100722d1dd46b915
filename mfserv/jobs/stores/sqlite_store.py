"""The engine for one host: SQLite. A record is its own place in the queue, so that both change in one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mfext.clock import TOLERANCE_S
from mfext.errors import MetworkError
from mfserv.jobs.counts import EXPIRED, JobCounts, counted
from mfserv.jobs.job import Job, Status, claimed, is_orphan, turn_after
from mfserv.jobs.stores.inotify_notify import Doorbell, ring
from mfserv.jobs.stores.sqlite_file import SqliteFile, snapshot
from mfserv.jobs.stores.store import KINDS, WORK, Change, JobStore, KeyReused, Limits, Offer, QueueFull, kinds_of


class SqliteStore(JobStore):
    """Jobs in one file."""

    def __init__(self, path: Path, bell_folder: Path) -> None:
        """Opens nothing yet: whoever cannot reach it is told when he needs it."""
        self.bell_folder = bell_folder
        self._file = SqliteFile(path)
        self._to_ring: set[str] = set()

    @contextmanager
    def together(self) -> Iterator[None]:
        try:
            with self._file.transaction():
                yield
            self._ring(frozenset())
        finally:
            self._to_ring.clear()

    def submit_all(self, offers: Sequence[Offer]) -> list[Job | MetworkError]:
        outcomes: list[Job | MetworkError] = []
        with self._file.transaction() as database:
            for offer in offers:
                try:
                    outcomes.append(_submit(database, offer))
                except (QueueFull, KeyReused) as refused:
                    outcomes.append(refused)
        self._ring(frozenset((WORK,)))
        return outcomes

    def get(self, job_id: str) -> Job | None:
        with self._file.reading() as database:
            return _get(database, job_id)

    def content(self, job_id: str) -> bytes:
        with self._file.reading() as database:
            query = "SELECT iif(status IN ('accepted', 'running'), body, answer) FROM job WHERE id = ?"
            row = database.execute(query, (job_id,)).fetchone()
            return bytes(row[0] or b"") if row else b""

    def claim(self, worker: str, lease: float) -> Job | None:
        with self._file.reading() as database:
            # Mostly there is nothing: that is seen without writing, which only one process at a time may do.
            if _next(database, time.time()) is None:
                return None
        # An attempt that a power cut made forgotten is made again.
        with self._file.transaction(durable=False) as database:
            now = time.time()
            row = _next(database, now)
            found = _job(row) if row else None
            job = claimed(found, worker, now, lease) if found else None
            if found and job:
                _put(database, found, job)
                database.execute(
                    "INSERT INTO turn VALUES (?, ?) ON CONFLICT DO UPDATE SET turn = max(turn, excluded.turn)",
                    (job.priority, job.turn),
                )
            return job

    def change(self, job_id: str, change: Change, content: bytes = b"") -> Job | None:
        with self._file.reading() as database:
            # What will come of it is seen before, for then it is known whether it has to be on disk.
            expected = _changed(_get(database, job_id), change)
        with self._file.transaction(durable=bool(expected and expected.status.is_final)) as database:
            found = _get(database, job_id)
            changed = _changed(found, change)
            if found and changed and changed is not found:
                if found.status.is_final and not changed.status.is_final:
                    changed = replace(changed, turn=_turn(database, changed))
                _put(database, found, changed)
                if changed.status.is_final:
                    _end(database, changed, content)
        if found and changed:
            self._ring(kinds_of(found, changed))
        return changed

    def remove(self, job_id: str) -> None:
        with self._file.transaction() as database:
            job = _get(database, job_id)
            if job:
                database.execute("DELETE FROM job WHERE id = ?", (job_id,))
                _count(database, job.process, {EXPIRED: 1})

    def positions(self, jobs: Sequence[Job]) -> list[int]:
        before = "SELECT count(*) FROM job WHERE status = 'accepted' AND (priority, turn, seq) < (?, ?, ?)"
        with self._file.reading() as database:
            return [_number(database, before, job.priority, job.turn, job.seq) for job in jobs]

    def listed(
        self,
        client: str | None = None,
        *,
        statuses: frozenset[Status] = frozenset(),
        processes: frozenset[str] = frozenset(),
        before: int = 0,
        limit: int = 100,
    ) -> list[Job]:
        conditions: dict[str, list[str | int]] = {}
        if client is not None:
            conditions["client = ?"] = [client]
        if statuses:
            conditions[f"status IN ({_marks(statuses)})"] = [*statuses]
        if processes:
            conditions[f"process IN ({_marks(processes)})"] = [*processes]
        if before:
            conditions["seq < ?"] = [before]
        where = " AND ".join(conditions) or "1"
        # Only marks and words of ours are put together, no value.
        query = f"SELECT seq, record FROM job WHERE {where} ORDER BY seq DESC LIMIT ?"  # noqa: S608  # nosec B608
        with self._file.reading() as database:
            values = [value for group in conditions.values() for value in group]
            return [_job(row) for row in database.execute(query, (*values, limit))]

    def orphans(self, dead: frozenset[str] = frozenset()) -> list[str]:
        with self._file.reading() as database:
            running = map(_job, database.execute("SELECT seq, record FROM job WHERE status = 'running'"))
            return [job.id for job in running if is_orphan(job, time.time(), dead)]

    def expired(self) -> list[str]:
        with self._file.reading() as database:
            query = "SELECT id FROM job WHERE expires > 0 AND expires <= ? LIMIT 1000"
            return [row[0] for row in database.execute(query, (time.time(),))]

    def job_counts(self) -> Mapping[str, JobCounts]:
        states: dict[str, dict[Status, int]] = {}
        ever: dict[str, dict[str, int]] = {}
        with self._file.reading() as database, snapshot(database):
            for process, status, number in database.execute(
                "SELECT process, status, count(*) FROM job GROUP BY process, status"
            ):
                states.setdefault(process, {})[Status(status)] = number
            for process, name, number in database.execute("SELECT process, name, count FROM tally"):
                ever.setdefault(process, {})[name] = number
            query = "SELECT process, min(created) FROM job WHERE status = 'accepted' GROUP BY process"
            oldest: dict[str, float] = dict(database.execute(query).fetchall())
        return {
            process: JobCounts(states.get(process, {}), oldest.get(process, 0.0), names)
            for process, names in ever.items()
        }

    def now(self) -> float:
        return time.time()

    def tend(self) -> None:
        """Fold the journal, so that nobody who waits for an answer has to."""
        self._file.fold()

    def bell(self, kinds: frozenset[str] = KINDS) -> Doorbell:
        return Doorbell(self.bell_folder, kinds)

    def close(self) -> None:
        self._file.close()

    def _ring(self, kinds: frozenset[str]) -> None:
        """Tell everybody, once what is done together is done."""
        self._to_ring |= kinds
        if not self._file.is_in_transaction:
            for kind in sorted(self._to_ring):
                with suppress(OSError):  # it is done, whether or not anybody is told at once
                    ring(self.bell_folder, kind)
            self._to_ring.clear()


def _submit(database: sqlite3.Connection, offer: Offer) -> Job:
    earlier = _of_key(database, offer.job)
    if earlier:
        return earlier
    _check_room(database, offer.job, offer.limits)
    job = replace(offer.job, turn=_turn(database, offer.job))
    added = database.execute(
        "INSERT INTO job (id, client, process, key, priority, turn, status, created, due, expires, record, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
        (
            *(job.id, job.client, job.process, job.key, job.priority, job.turn, job.status, job.created, job.due),
            *(job.to_json(), offer.body),
        ),
    )
    _count(database, job.process, counted(None, job))
    return replace(job, seq=added.lastrowid or 0)


def _of_key(database: sqlite3.Connection, job: Job) -> Job | None:
    if not job.key:
        return None
    row = database.execute(
        "SELECT seq, record FROM job WHERE client = ? AND key = ? AND key <> ''", (job.client, job.key)
    ).fetchone()
    earlier = _job(row) if row else None
    if earlier and earlier.fingerprint != job.fingerprint:
        raise KeyReused
    return earlier


def _check_room(database: sqlite3.Connection, job: Job, limits: Limits) -> None:
    waiting = _number(database, "SELECT count(*) FROM job WHERE status = 'accepted'")
    if waiting >= limits.queue:
        raise QueueFull(waiting)
    own = _number(database, "SELECT count(*) FROM job WHERE status = 'accepted' AND client = ?", job.client)
    if own >= limits.client:
        raise QueueFull(own, job.client)
    if limits.process:
        same = _number(database, "SELECT count(*) FROM job WHERE status = 'accepted' AND process = ?", job.process)
        if same >= limits.process:
            raise QueueFull(same, process=job.process)


def _turn(database: sqlite3.Connection, job: Job) -> int:
    """The turn of *job*, which is new among those that wait."""
    reached = _number(database, "SELECT ifnull(max(turn), 0) FROM turn WHERE priority = ?", job.priority)
    own = "SELECT ifnull(max(turn), 0) FROM job WHERE status = 'accepted' AND client = ? AND priority = ?"
    return turn_after(reached, _number(database, own, job.client, job.priority))


def _next(database: sqlite3.Connection, now: float) -> tuple[int, str] | None:
    # As job.is_due has it.
    is_due = "(due <= ? OR json_extract(record, '$.updated') > ?)"
    query = f"SELECT seq, record FROM job WHERE status = 'accepted' AND {is_due} ORDER BY priority, turn, seq LIMIT 1"  # noqa: S608  # nosec B608
    row: tuple[int, str] | None = database.execute(query, (now, now + TOLERANCE_S)).fetchone()
    return row


def _get(database: sqlite3.Connection, job_id: str) -> Job | None:
    row = database.execute("SELECT seq, record FROM job WHERE id = ?", (job_id,)).fetchone()
    return _job(row) if row else None


def _changed(found: Job | None, change: Change) -> Job | None:
    return change(found, time.time()) if found else None


def _job(row: tuple[int, str]) -> Job:
    return replace(Job.from_json(row[1]), seq=row[0])


def _put(database: sqlite3.Connection, before: Job, job: Job) -> None:
    database.execute(
        "UPDATE job SET turn = ?, status = ?, due = ?, expires = ?, record = ? WHERE id = ?",
        (job.turn, job.status, job.due, job.expires, job.to_json(), job.id),
    )
    _count(database, job.process, counted(before, job))


def _end(database: sqlite3.Connection, job: Job, content: bytes) -> None:
    database.execute("UPDATE job SET answer = ? WHERE id = ?", (content, job.id))
    if job.status is not Status.FAILED:
        database.execute("UPDATE job SET body = NULL WHERE id = ?", (job.id,))


def _count(database: sqlite3.Connection, process: str, by: Mapping[str, int]) -> None:
    database.executemany(
        "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(process, name, number) for name, number in by.items()],
    )


def _number(database: sqlite3.Connection, query: str, *values: str | int) -> int:
    return int(database.execute(query, values).fetchone()[0])


def _marks(values: frozenset[str] | frozenset[Status]) -> str:
    return ", ".join("?" * len(values))
