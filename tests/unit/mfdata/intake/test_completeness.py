"""When a file is complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfdata.config import Incoming
from mfdata.intake.completeness import HIDDEN, Decision, StablePeriods, Writers, decide, ignored_names


@pytest.mark.parametrize(
    ("writers", "was_closed", "unchanged_for", "expected"),
    [
        (Writers.NONE, True, 0.0, Decision.TAKE),
        (Writers.NONE, False, 0.0, Decision.TAKE),
        (Writers.SOME, True, 0.0, Decision.OPEN),
        (Writers.SOME, False, 99.0, Decision.OPEN),
        (Writers.UNKNOWN, True, 0.0, Decision.TAKE),
        (Writers.UNKNOWN, False, 4.9, Decision.UNSETTLED),
        (Writers.UNKNOWN, False, 5.0, Decision.TAKE),
    ],
)
def test_a_file_is_taken_when_nobody_writes_it(
    writers: Writers, was_closed: bool, unchanged_for: float, expected: Decision
) -> None:
    assert decide(writers, was_closed, unchanged_for, stable_for=5.0) is expected


@pytest.mark.parametrize(
    "name",
    [".hidden", "a.tmp", "a.t", "a.part", "a.filepart", "a.working", f"{HIDDEN}x", "a\nb.tmp", "\udce9.tmp"],
)
def test_names_of_unfinished_files_are_ignored(name: str) -> None:
    assert ignored_names(Incoming().ignore).match(name)


@pytest.mark.parametrize("name", ["a.png", "-rf", "tmp", "a.tmp.png", "a.T", "\udce9.grib", " ", "a\n.png", "x.tt"])
def test_all_other_names_are_not(name: str) -> None:
    assert not ignored_names(Incoming().ignore).match(name)


def test_what_intake_hides_is_ignored_whatever_is_configured() -> None:
    assert ignored_names(()).match(f"{HIDDEN}x")
    assert not ignored_names(()).match("x.tmp")


def status(tmp_path: Path, text: str, mtime: int) -> os.stat_result:
    file = tmp_path / "file"
    file.write_text(text)
    os.utime(file, (mtime, mtime))
    return file.stat()


def test_a_file_stands_still_since_its_size_and_time_were_first_seen(tmp_path: Path) -> None:
    stable_periods = StablePeriods()
    assert stable_periods.seconds("f", status(tmp_path, "a", 10), now=100) == 0
    assert stable_periods.seconds("f", status(tmp_path, "a", 10), now=103) == 3
    assert stable_periods.due(104, stable_for=5) == []
    assert stable_periods.due(105, stable_for=5) == ["f"]


@pytest.mark.parametrize(("text", "mtime"), [("ab", 10), ("a", 11)])
def test_a_change_of_size_or_time_starts_the_wait_again(tmp_path: Path, text: str, mtime: int) -> None:
    stable_periods = StablePeriods()
    stable_periods.seconds("f", status(tmp_path, "a", 10), now=100)
    assert stable_periods.seconds("f", status(tmp_path, text, mtime), now=104) == 0
    assert stable_periods.seconds("f", status(tmp_path, text, mtime), now=106) == 2


def test_no_more_than_so_many_files_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StablePeriods, "LIMIT", 2)
    stable_periods, seen = StablePeriods(), status(tmp_path, "a", 10)
    for path in "abc":
        stable_periods.seconds(path, seen, now=0)
    assert stable_periods.is_full()
    assert stable_periods.due(9, 5) == ["a", "b"]
    stable_periods.forget("a")
    assert not stable_periods.is_full()
