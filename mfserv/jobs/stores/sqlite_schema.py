"""The form in which SQLite keeps jobs: its tables, and how those of an older MetWork become the present ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from mfext.errors import ServiceUnavailable
from mfext.log import get_logger
from mfserv.jobs.counts import SUBMITTED
from mfserv.jobs.job import Job, Status, turn_after

log = get_logger(__name__)

#: The number of the tables below, which the file itself has (PRAGMA user_version).
FORM = 2
#: ``record`` is the job; the other columns are what it is looked for by. ``turn``: the highest that was claimed.
_TABLES = """
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    process TEXT NOT NULL,
    key TEXT NOT NULL,
    priority INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    status TEXT NOT NULL,
    created REAL NOT NULL,
    due REAL NOT NULL,
    expires REAL NOT NULL,
    record TEXT NOT NULL,
    body BLOB,
    answer BLOB
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS job_key ON job (client, key) WHERE key <> '';
CREATE INDEX IF NOT EXISTS job_waiting ON job (priority, turn, seq, due) WHERE status = 'accepted';
CREATE INDEX IF NOT EXISTS job_waiting_of ON job (client, priority, turn) WHERE status = 'accepted';
CREATE INDEX IF NOT EXISTS job_waiting_for ON job (process, created) WHERE status = 'accepted';
CREATE INDEX IF NOT EXISTS job_running ON job (seq) WHERE status = 'running';
CREATE INDEX IF NOT EXISTS job_expires ON job (expires) WHERE expires > 0;
CREATE INDEX IF NOT EXISTS job_client ON job (client, seq);
CREATE INDEX IF NOT EXISTS job_process ON job (process, status);
CREATE TABLE IF NOT EXISTS turn (priority INTEGER PRIMARY KEY, turn INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tally (
    process TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (process, name)
) STRICT, WITHOUT ROWID
"""


def bring_to_form(database: sqlite3.Connection, path: Path) -> None:
    """Give *database*, the file *path*, the tables of the present form, all at once or not at all.

    Raises:
        ServiceUnavailable: a newer MetWork made it, or one that nobody knows.
    """
    if _form(database) == FORM:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        form = _form(database)
        if form and form != FORM:
            for step in _steps(form, path):
                step(database)
            log.info("the jobs of an older version are taken over", form=form, now=FORM)
        else:
            _make_tables(database)
        database.execute(f"PRAGMA user_version = {FORM}")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _form(database: sqlite3.Connection) -> int:
    """0 = there is nothing yet."""
    form = int(database.execute("PRAGMA user_version").fetchone()[0])
    # The first versions wrote no number.
    return form or int("content" in {row[1] for row in database.execute("PRAGMA table_info(job)")})


def _steps(form: int, path: Path) -> list[Callable[[sqlite3.Connection], None]]:
    """What leads from *form* to the present one."""
    if form > FORM:
        raise ServiceUnavailable(
            f"the jobs are kept in form {form}, by a newer version of MetWork",
            where=str(path),
            expected=f"form {FORM} or older",
            mend="Install that version again; or move the file away: its jobs are not done then.",
        )
    if form not in _FROM:
        raise ServiceUnavailable(
            f"the jobs are kept in form {form}, which is not known",
            where=str(path),
            mend="Move the file away: it is none of MetWork's.",
        )
    return [_FROM[one] for one in range(form, FORM)]


def _make_tables(database: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        database.execute(statement)


def _from_1(database: sqlite3.Connection) -> None:
    """Clients get their turns; body and answer are kept apart; counts are by process.

    How many jobs of all time were forgotten was counted for all processes together: that count begins anew.
    """
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql <> ''").fetchall():
        database.execute(f"DROP INDEX {name}")
    database.execute("ALTER TABLE job RENAME TO job_1")
    _make_tables(database)
    turns: dict[tuple[str, int], int] = {}
    for seq, record, content in database.execute("SELECT seq, record, content FROM job_1 ORDER BY seq"):
        job = Job.from_json(record)
        if job.status is Status.ACCEPTED:
            own = job.client, job.priority
            turns[own] = turn_after(0, turns.get(own, 0))
            job = replace(job, turn=turns[own])
        body, answer = (None, content) if job.status.is_final else (content, None)
        database.execute(
            "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(seq, job.id, job.client, job.process, job.key, job.priority, job.turn, job.status),
                *(job.created, job.due, job.expires, job.to_json(), body, answer),
            ),
        )
    # A number that was given is never given again.
    database.execute("DELETE FROM sqlite_sequence WHERE name = 'job'")
    database.execute("UPDATE sqlite_sequence SET name = 'job' WHERE name = 'job_1'")
    database.execute(
        "INSERT INTO tally SELECT process, ?, count(*) FROM job GROUP BY process"
        " UNION ALL SELECT process, status, count(*) FROM job"
        " WHERE status IN ('successful', 'failed', 'dismissed') GROUP BY process, status",
        (SUBMITTED,),
    )
    database.execute("DROP TABLE job_1")
    database.execute("DROP TABLE counter")


#: By the form that each leads on from.
_FROM: Mapping[int, Callable[[sqlite3.Connection], None]] = MappingProxyType({1: _from_1})
