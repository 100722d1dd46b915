"""The file of jobs of an older MetWork is taken over, whole or not at all; that of a newer one is left alone.

``files/jobs_form_1.sqlite`` was written by the version before clients took turns.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mfext.errors import ServiceUnavailable
from mfserv.jobs.job import Job, Result, Status, answered
from mfserv.jobs.stores import sqlite_schema
from mfserv.jobs.stores.sqlite_store import SqliteStore
from mfserv.jobs.stores.store import Limits

OLD = Path(__file__).parent / "files" / "jobs_form_1.sqlite"
LIMITS = Limits(queue=1000, client=1000)
ANSWER = Result(200, (), "", 11)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD, tmp_path / "jobs.sqlite"))


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    made = opened(file)
    yield made
    made.close()


def opened(file: Path) -> SqliteStore:
    return SqliteStore(file, file.parent / "bell")


def job(name: str, **fields: str) -> Job:
    return Job(name, "one", "a.main", "POST", "/a", (), 1.0, **fields)  # type: ignore[arg-type]


def claimed(store: SqliteStore) -> list[str]:
    found = []
    while one := store.claim("worker", 30):
        found.append(one.id)
    return found


def schema(file: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as database:
        return {
            (name, text.replace('"', ""))
            for name, text in database.execute("SELECT name, sql FROM sqlite_master WHERE sql <> ''")
        }


def test_every_job_is_there_with_what_it_had(store: SqliteStore) -> None:
    found = {one.id: one.status for one in store.listed()}
    waiting = ["one-1", "one-2", "one-3", "two-1", "urgent", "late"]
    assert found == {
        "done": Status.SUCCESSFUL,
        "failed": Status.FAILED,
        "dismissed": Status.DISMISSED,
        "running": Status.RUNNING,
        **dict.fromkeys(waiting, Status.ACCEPTED),
    }
    assert (store.content("done"), store.content("running")) == (b"answer", b"running body")
    assert [store.content(name) for name in waiting] == [b"first", b"second", b"third", b"other", b"", b"late"]


def test_clients_take_turns_from_then_on(store: SqliteStore) -> None:
    assert claimed(store) == ["one-1", "two-1", "one-2", "urgent", "one-3", "late"]


def test_what_runs_may_end_and_a_key_is_still_known(store: SqliteStore) -> None:
    running = store.get("running")
    assert running is not None
    ended = store.change("running", lambda one, now: answered(one, running.token, now, ANSWER), b"late answer")
    assert ended is not None
    assert (ended.status, store.content("running")) == (Status.SUCCESSFUL, b"late answer")
    again = store.submit(job("another", key="key", fingerprint="print"), LIMITS)
    assert again.id == "one-3"


def test_numbers_go_on_and_jobs_are_counted(store: SqliteStore) -> None:
    assert store.submit(job("new"), LIMITS).seq == 12  # 11 was given to a job that is forgotten
    assert dict(store.job_counts()["a.main"].ever) == {"submitted": 10, "successful": 1, "failed": 1, "dismissed": 1}
    assert dict(store.job_counts()["b.main"].ever) == {"submitted": 1}


def test_the_tables_are_those_of_a_new_file(file: Path, store: SqliteStore, tmp_path: Path) -> None:
    assert store.listed()
    new = opened(tmp_path / "new.sqlite")
    assert new.listed() == []
    new.close()
    assert schema(file) == schema(tmp_path / "new.sqlite")


def test_a_file_without_a_number_is_of_the_first_form(file: Path, store: SqliteStore) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 0")
    assert len(store.listed()) == 10


def test_what_goes_wrong_in_the_middle_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(database: sqlite3.Connection) -> None:
        sqlite_schema._from_1(database)
        raise sqlite3.OperationalError("database or disk is full")

    with closing(sqlite3.connect(file)) as database:
        before = list(database.iterdump())
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "_FROM", {1: breaks})
        store = opened(file)
        with pytest.raises(ServiceUnavailable, match="disk is full"):
            store.listed()
        store.close()
    with closing(sqlite3.connect(file)) as database:
        assert list(database.iterdump()) == before
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
    store = opened(file)
    assert len(store.listed()) == 10
    store.close()


def test_many_may_take_it_over_at_once(file: Path) -> None:
    stores = [opened(file) for _ in range(8)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda one=one: found.append(len(one.listed()))) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [10] * 8
    for store in stores:
        store.close()


@pytest.mark.parametrize(("form", "words"), [(3, "by a newer version of MetWork"), (-1, "which is not known")])
def test_a_file_of_another_form_is_left_alone(file: Path, store: SqliteStore, form: int, words: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {form}")
        before = list(database.iterdump())
    with pytest.raises(ServiceUnavailable) as raised:
        store.listed()
    assert f"{file}: the jobs are kept in form {form}, {words}" in raised.value.message
    with closing(sqlite3.connect(file)) as database:
        assert list(database.iterdump()) == before
