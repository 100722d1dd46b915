"""Dedup on a real database: what goes on, what ends, over processes, deaths and years."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mfdata import Done, File
from mfdata.config import StepConfig
from mfdata.steps.dedup import Dedup, DedupKeys
from mfdata.storage.tags import REPLAY_OF, Tags, first_tags, new_uid
from mfext.environment import Home
from mfext.errors import ConfigError
from mfext.testing import temporary_home

FIRST = b"SAFR30 LFPW 241200\r\r\nMETAR LFPG=\r\r\n"
CORRECTED = FIRST.replace(b"241200", b"241200 CCA")
OTHER_CIRCUIT = b"\x01\r\r\n123\r\r\n" + FIRST + b"\x03"
HOUR = 3600.0


class Bench:
    """A step that gets one file after the other."""

    def __init__(self, home: Home, **keys: object) -> None:
        self.home = home
        self.step = Dedup(home, "dedup", "main", StepConfig(), DedupKeys(destination="next/main", **keys))  # type: ignore[arg-type]
        self.step.open()

    def goes_on(self, content: bytes, name: bytes = b"file", **more: Any) -> bool:
        outcome = self.see(content, name, **more)
        assert bool(outcome.to) != bool(outcome.dropped_by)
        return bool(outcome.to)

    def see(
        self, content: bytes, name: bytes = b"file", uid: str = "", age: float = 0.0, tags: Tags | None = None
    ) -> Done:
        path = self.home.path / f"claimed{os.getpid()}"
        path.write_bytes(content)
        uid = uid or f"{int((time.time() - age) * 1e6):014x}{os.urandom(6).hex()}"
        outcome = self.step.process(File(path, first_tags(uid, name, b"incoming") | (tags or {})))
        assert isinstance(outcome, Done)
        return outcome


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def test_the_first_goes_on_and_the_line_of_a_repeat_names_it(home: Home) -> None:
    at = Bench(home)
    uid = new_uid()
    assert at.see(b"content", uid=uid) == Done(to="next/main")
    assert at.see(b"content", b"other") == Done(dropped_by=f"dedup/main: same content as {uid}")
    assert at.goes_on(b"other content")


@pytest.mark.parametrize("by", ["content", "heading"])
def test_a_correction_goes_on_and_its_repeat_does_not(home: Home, by: str) -> None:
    at = Bench(home, by=by)
    assert [at.goes_on(one) for one in (FIRST, CORRECTED, FIRST, CORRECTED)] == [True, True, False, False]


@pytest.mark.parametrize("by", ["content", "heading"])
def test_a_bulletin_over_another_circuit_is_a_repeat(home: Home, by: str) -> None:
    at = Bench(home, by=by)
    assert [at.goes_on(one) for one in (FIRST, OTHER_CIRCUIT)] == [True, False]


def test_by_heading_the_text_does_not_count_and_other_files_are_compared_by_content(home: Home) -> None:
    at = Bench(home, by="heading")
    assert [at.goes_on(one) for one in (FIRST, FIRST + b"more", b"x", b"y", b"x")] == [True, False, True, True, False]


def test_by_name_content_does_not_count_but_a_correction_does(home: Home) -> None:
    at = Bench(home, by="name")
    assert [at.goes_on(one) for one in (FIRST, b"any", CORRECTED)] == [True, False, True]
    assert at.goes_on(FIRST, b"other")


def test_by_tag_its_value_counts_and_who_has_none_goes_on(home: Home) -> None:
    at = Bench(home, by="tag", tag="product")
    tags: list[dict[str, bytes]] = [{"product": value} for value in (b"1", b"1", b"", b"")] + [{}, {}]
    assert [at.goes_on(b"any", tags=one) for one in tags] == [True, False, True, False, True, True]
    assert at.goes_on(CORRECTED, tags=tags[0])


def test_a_file_that_is_tried_again_is_not_its_own_repeat(home: Home) -> None:
    uid = new_uid()
    assert [Bench(home).goes_on(b"content", uid=uid) for _ in range(3)] == [True, True, True]


def test_a_file_that_is_replayed_goes_on(home: Home) -> None:
    at = Bench(home)
    at.see(b"content")
    assert at.goes_on(b"content", tags={REPLAY_OF: b"some uid"})


def test_only_what_was_accepted_within_the_window_is_a_repeat_whenever_it_comes_here(home: Home) -> None:
    at = Bench(home, window=HOUR)
    assert at.goes_on(b"content", age=5 * HOUR)
    assert not at.goes_on(b"content", age=4.5 * HOUR)
    assert at.goes_on(b"content", age=2 * HOUR)
    assert not at.goes_on(b"content", age=2.5 * HOUR)


def test_what_was_seen_outlives_the_process_and_is_forgotten_after_the_window(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Bench(home, window=HOUR).goes_on(b"content")
    at = Bench(home, window=HOUR)
    assert not at.goes_on(b"content")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2 * HOUR)
    at.step.idle()
    with sqlite3.connect(home.var / "dedup" / "dedup.main.sqlite") as seen:
        assert seen.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def test_what_cannot_be_read_is_put_aside(home: Home) -> None:
    path = home.var / "dedup" / "dedup.main.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    at = Bench(home)
    assert [at.goes_on(b"content") for _ in range(2)] == [True, False]
    assert path.with_name("dedup.main.sqlite.broken").read_bytes().startswith(b"no database")


def test_a_full_disk_lets_the_file_wait(home: Home) -> None:
    at = Bench(home)
    at.step._seen.execute("PRAGMA max_page_count = 1")
    with pytest.raises(OSError, match="No space left") as caught:
        see_many(at)
    assert caught.value.errno == errno.ENOSPC


def see_many(at: Bench) -> None:
    for number in range(10_000):
        at.see(b"%d" % number)


def seen_by(folder: str) -> int:
    bench = Bench(Home("mfdata", Path(folder)))
    return sum(bench.goes_on(b"%d" % number) for number in range(100))


def test_of_equal_files_in_several_processes_one_goes_on(home: Home) -> None:
    with ProcessPoolExecutor(4) as pool:
        assert sum(pool.map(seen_by, [str(home.path)] * 8)) == 100


@pytest.mark.parametrize(
    "keys", [{"by": "tag"}, {"tag": "x"}, {"by": "heading", "window": 40 * 86400.0}], ids=["no tag", "tag", "month"]
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        DedupKeys(**keys)  # type: ignore[arg-type]
