"""What stays in incoming directories is told with the reason."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mfdata.config import Incoming
from mfdata.operations.stale import left_over

IGNORE = Incoming().ignore


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An incoming directory, two minutes from now."""
    now = time.time() + 120
    monkeypatch.setattr("time.time", lambda: now)
    made = tmp_path / "incoming"
    made.mkdir()
    return made


def reasons(directory: Path) -> list[str]:
    return [one["reason"] for one in left_over([directory], IGNORE)]


def test_the_oldest_of_several_is_named(directory: Path) -> None:
    for name in ("first", "second"):
        (directory / name).touch()
        time.sleep(0.02)
    (one,) = left_over([directory], IGNORE)
    assert (one["directory"], one["count"], one["oldest"]) == (str(directory), 2, "first")
    assert one["seconds"] > 60


def test_what_is_left_alone_on_purpose_is_not_told(directory: Path) -> None:
    for name in (".hidden", "x.tmp", ".metwork-1"):
        (directory / name).touch()
    assert reasons(directory) == []


def test_what_has_just_come_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    assert reasons(tmp_path) == []


def test_what_is_no_file_is_named(directory: Path) -> None:
    os.mkfifo(directory / "a")
    assert reasons(directory) == ["it is a fifo"]


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert reasons(tmp_path / "gone") == ["No such file or directory"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_told(directory: Path) -> None:
    (directory / "locked").touch(mode=0)
    assert reasons(directory) == ["it may not be read"]


def test_what_came_while_the_clock_was_ahead_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "a").touch()
    real = time.time
    monkeypatch.setattr("mfdata.operations.stale.time.time", lambda: real() - 10_800)
    (found,) = left_over([directory], Incoming().ignore)
    assert (found["oldest"], found["seconds"]) == ("a", 0.0)
