"""The engine for one host: SQLite. A record is its own place in the queue, so that both change in one transaction."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mfext.errors import ServiceUnavailable
from mfserv.jobs.doorbell import Doorbell, ring
from mfserv.jobs.job import Job, Status, claimed, is_orphan
from mfserv.jobs.store import KINDS, WORK, Change, JobStore, KeyReused, Limits, QueueFull, kinds_of

#: Milliseconds to wait for another process that writes.
_BUSY_MS = 5_000

#: Of the tables below; another one is not ours.
_VERSION = 1
#: ``record`` is the job; the other columns are what it is looked for by.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    process TEXT NOT NULL,
    key TEXT NOT NULL,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL,
    due REAL NOT NULL,
    expires REAL NOT NULL,
    record TEXT NOT NULL,
    content BLOB
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS job_key ON job (client, key) WHERE key <> '';
CREATE INDEX IF NOT EXISTS job_waiting ON job (priority, seq, due) WHERE status = 'accepted';
CREATE INDEX IF NOT EXISTS job_waiting_of ON job (client) WHERE status = 'accepted';
CREATE INDEX IF NOT EXISTS job_running ON job (seq) WHERE status = 'running';
CREATE INDEX IF NOT EXISTS job_expires ON job (expires) WHERE expires > 0;
CREATE INDEX IF NOT EXISTS job_client ON job (client, seq);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO counter VALUES ('submitted', 0), ('expired', 0);
PRAGMA user_version = 1;
"""


class SqliteStore(JobStore):
    """Jobs in one file."""

    def __init__(self, path: Path, bell_folder: Path) -> None:
        """Opens nothing yet: whoever cannot reach it is told when he needs it."""
        self.path = path
        self.bell_folder = bell_folder
        self._opened: sqlite3.Connection | None = None
        self._lock = -1
        self._is_together = False
        self._to_ring: set[str] = set()

    @contextmanager
    def together(self) -> Iterator[None]:
        try:
            with self._transaction():
                self._is_together = True
                try:
                    yield
                finally:
                    self._is_together = False
            self._ring(frozenset())
        finally:
            self._to_ring.clear()

    def submit(self, job: Job, limits: Limits, body: bytes = b"") -> Job:
        with self._transaction() as database:
            earlier = _of_key(database, job)
            if earlier:
                return earlier
            _check_room(database, job, limits)
            added = database.execute(
                "INSERT INTO job (id, client, process, key, priority, status, due, expires, record, content)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
                (job.id, job.client, job.process, job.key, job.priority, job.status, job.due, job.to_json(), body),
            )
            _count(database, "submitted")
            submitted = replace(job, seq=added.lastrowid or 0)
        self._ring(frozenset((WORK,)))
        return submitted

    def get(self, job_id: str) -> Job | None:
        with self._reading() as database:
            return _get(database, job_id)

    def content(self, job_id: str) -> bytes:
        with self._reading() as database:
            row = database.execute("SELECT content FROM job WHERE id = ?", (job_id,)).fetchone()
            return bytes(row[0] or b"") if row else b""

    def claim(self, worker: str, lease: float) -> Job | None:
        with self._reading() as database:
            # Mostly there is nothing: that is seen without writing, which only one process at a time may do.
            if _next(database, time.time()) is None:
                return None
        with self._transaction() as database:
            now = time.time()
            row = _next(database, now)
            job = claimed(_job(row), worker, now, lease) if row else None
            if job:
                _put(database, job)
            return job

    def change(self, job_id: str, change: Change, content: bytes = b"") -> Job | None:
        with self._transaction() as database:
            found = _get(database, job_id)
            changed = change(found, time.time()) if found else None
            if changed and changed is not found:
                _put(database, changed)
                if changed.status.is_final:
                    database.execute("UPDATE job SET content = ? WHERE id = ?", (content, job_id))
        if found and changed:
            self._ring(kinds_of(found, changed))
        return changed

    def remove(self, job_id: str) -> None:
        with self._transaction() as database:
            if database.execute("DELETE FROM job WHERE id = ?", (job_id,)).rowcount:
                _count(database, "expired")

    def position(self, job: Job) -> int:
        with self._reading() as database:
            return _number(
                database,
                "SELECT count(*) FROM job WHERE status = 'accepted' AND (priority, seq) < (?, ?)",
                job.priority,
                job.seq,
            )

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
        with self._reading() as database:
            values = [value for group in conditions.values() for value in group]
            return [_job(row) for row in database.execute(query, (*values, limit))]

    def orphans(self, dead: frozenset[str] = frozenset()) -> list[str]:
        with self._reading() as database:
            running = map(_job, database.execute("SELECT seq, record FROM job WHERE status = 'running'"))
            return [job.id for job in running if is_orphan(job, time.time(), dead)]

    def expired(self) -> list[str]:
        with self._reading() as database:
            query = "SELECT id FROM job WHERE expires > 0 AND expires <= ? LIMIT 1000"
            return [row[0] for row in database.execute(query, (time.time(),))]

    def counts(self) -> Mapping[str, int]:
        with self._reading() as database, _snapshot(database):
            found = dict.fromkeys(map(str, Status), 0)
            found.update(database.execute("SELECT status, count(*) FROM job GROUP BY status"))
            found.update(database.execute("SELECT name, count FROM counter"))
            return found

    def now(self) -> float:
        return time.time()

    def tend(self) -> None:
        """Nothing: SQLite folds its journal by itself."""

    def bell(self) -> Doorbell:
        return Doorbell(self.bell_folder, KINDS)

    def close(self) -> None:
        if self._opened:
            self._opened.close()
            self._opened = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database()
        except sqlite3.Error as error:
            self._let_go()
            raise ServiceUnavailable(f"the jobs cannot be reached: {error}", where=str(self.path)) from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk when it is over. Who begins as a reader could never become a writer."""
        with self._reading() as database:
            if self._is_together:
                yield database
                return
            with self._turn():
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Nobody else of us writes meanwhile. SQLite would wait by sleeping, which may last long and is not fair."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _ring(self, kinds: frozenset[str]) -> None:
        """Tell everybody, once what is done together is done."""
        self._to_ring |= kinds
        if not self._is_together:
            for kind in sorted(self._to_ring):
                ring(self.bell_folder, kind)
            self._to_ring.clear()

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Bodies of requests are not in it, but names of clients are.
            self.path.touch(mode=0o600)
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServiceUnavailable(f"the jobs cannot be reached: {error.strerror}", where=str(self.path)) from None
        database = sqlite3.connect(self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        try:
            # Two that make it at once would be told that it is locked, however long they are ready to wait.
            with self._turn():
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                self._make_tables(database)
        except (sqlite3.Error, ServiceUnavailable):
            database.close()
            raise
        return database

    def _make_tables(self, database: sqlite3.Connection) -> None:
        version = _number(database, "PRAGMA user_version")
        if version not in (0, _VERSION):
            raise ServiceUnavailable(
                f"the jobs are kept in form {version}",
                where=str(self.path),
                expected=f"form {_VERSION}",
                mend="Let the version of MetWork that made them finish them, or remove the file.",
            )
        database.executescript(_SCHEMA)

    def _let_go(self) -> None:
        """Whatever went wrong, the next one begins anew."""
        with suppress(sqlite3.Error):
            self.close()


@contextmanager
def _snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Several reads that see the same state."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")


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


def _next(database: sqlite3.Connection, now: float) -> tuple[int, str] | None:
    query = "SELECT seq, record FROM job WHERE status = 'accepted' AND due <= ? ORDER BY priority, seq LIMIT 1"
    row: tuple[int, str] | None = database.execute(query, (now,)).fetchone()
    return row


def _get(database: sqlite3.Connection, job_id: str) -> Job | None:
    row = database.execute("SELECT seq, record FROM job WHERE id = ?", (job_id,)).fetchone()
    return _job(row) if row else None


def _job(row: tuple[int, str]) -> Job:
    return replace(Job.from_json(row[1]), seq=row[0])


def _put(database: sqlite3.Connection, job: Job) -> None:
    database.execute(
        "UPDATE job SET status = ?, due = ?, expires = ?, record = ? WHERE id = ?",
        (job.status, job.due, job.expires, job.to_json(), job.id),
    )


def _count(database: sqlite3.Connection, name: str) -> None:
    database.execute("UPDATE counter SET count = count + 1 WHERE name = ?", (name,))


def _number(database: sqlite3.Connection, query: str, *values: str | int) -> int:
    return int(database.execute(query, values).fetchone()[0])


def _marks(values: frozenset[str] | frozenset[Status]) -> str:
    return ", ".join("?" * len(values))
