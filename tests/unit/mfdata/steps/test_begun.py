"""Begun: what is known of names that are written on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.steps.begun import Begun


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    return Begun(tmp_path / "begun", "me@there/in")


def names(begun: Begun, *, keep: bool = True) -> list[str]:
    found = []
    for name, mark in begun.left():
        found.append(name)
        mark.is_kept = keep
    return found


def test_nothing_is_left_at_first(begun: Begun) -> None:
    assert names(begun) == []
    assert not begun.any_left()


def test_a_name_is_nobodys_while_it_is_written_and_is_left_when_it_is_not_done(begun: Begun, tmp_path: Path) -> None:
    name = "folder/caf\udce9 \n.t"
    with begun.writing(name) as mark:
        assert mark
        assert not mark.is_old
        assert names(Begun(tmp_path / "begun", "me@there/in")) == []
    assert names(begun) == [name]
    with begun.writing(name) as mark:
        assert mark
        assert mark.is_old
        mark.is_kept = False
    assert names(begun) == []
    assert not begun.any_left()


def test_what_was_removed_is_forgotten(begun: Begun) -> None:
    for name in "ab":
        with begun.writing(name):
            pass
    assert sorted(names(begun, keep=False)) == ["a", "b"]
    assert not begun.any_left()


def test_names_of_another_destination_are_forgotten(begun: Begun, tmp_path: Path) -> None:
    with begun.writing("a"):
        pass
    assert names(Begun(tmp_path / "begun", "me@elsewhere/in")) == []
    assert not begun.any_left()


def test_what_cannot_be_noted_keeps_no_file_from_being_sent(begun: Begun, tmp_path: Path) -> None:
    (tmp_path / "begun").write_bytes(b"")
    with begun.writing("a") as mark:
        assert mark is None
