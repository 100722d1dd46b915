"""SqliteFile: the file in which jobs are kept on one host: its transactions, whose turn it is."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfext.errors import ServiceUnavailable
from mfserv.jobs.stores.sqlite_schema import bring_to_form

#: Milliseconds to wait for another process that writes.
_BUSY_MS = 5_000
#: Pages of the journal at which a commit folds it itself, should nobody else have done so.
_MANY_PAGES = 10_000


class SqliteFile:
    """One connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Opens nothing yet: whoever cannot reach it is told when he needs it."""
        self.path = path
        self._opened: sqlite3.Connection | None = None
        self._lock = -1
        self._is_in_transaction = self._is_durable = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For questions.

        Raises:
            ServiceUnavailable: the file cannot be reached.
        """
        try:
            yield self._database()
        except sqlite3.Error as error:
            self._let_go()
            raise ServiceUnavailable(f"the jobs cannot be reached: {error}", where=str(self.path)) from None

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing; one inside another is part of that. Who begins as a reader could never become a writer.

        Args:
            durable: it is on disk when it is over; otherwise it outlives any process, but not that the power is cut.
                Everything before it is on disk then, too.
        """
        with self.reading() as database:
            if self._is_in_transaction:
                yield database
                return
            self._be_durable(database, durable=durable)
            with self._turn():
                database.execute("BEGIN IMMEDIATE")
                self._is_in_transaction = True
                try:
                    yield database
                except BaseException:
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                    raise
                finally:
                    self._is_in_transaction = False
                database.execute("COMMIT")

    @property
    def is_in_transaction(self) -> bool:
        """Whether what is done is not on disk yet."""
        return self._is_in_transaction

    def fold(self) -> None:
        """Bring what the journal holds into the file, while others go on, so that no commit has to do it."""
        with self.reading() as database:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let go of it."""
        if self._opened:
            self._opened.close()
            self._opened = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _be_durable(self, database: sqlite3.Connection, *, durable: bool) -> None:
        if durable is not self._is_durable:
            database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._is_durable = durable

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Nobody else of us writes meanwhile. SQLite would wait by sleeping, which may last long and is not fair."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._open()
            self._is_durable = False
        return self._opened

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Small bodies of requests are in it, and names of clients.
            self.path.touch(mode=0o600)
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServiceUnavailable(f"the jobs cannot be reached: {error.strerror}", where=str(self.path)) from None
        database = sqlite3.connect(self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        try:
            # Two that make it at once would be told that it is locked, however long they are ready to wait.
            with self._turn():
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute(f"PRAGMA wal_autocheckpoint = {_MANY_PAGES}")
                bring_to_form(database, self.path)
        except (sqlite3.Error, ServiceUnavailable):
            database.close()
            raise
        return database

    def _let_go(self) -> None:
        """Whatever went wrong, the next one begins anew."""
        with suppress(sqlite3.Error):
            self.close()


@contextmanager
def snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """Several reads that see the same state."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
