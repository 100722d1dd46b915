"""Tags of a file, in its attribute or beside it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfdata.storage.tags import before_entry, decode_tags, encode_tags, first_tags, own_copy, read_tags, write_tags

NAMES = st.from_regex(r"[A-Za-z0-9_.\-]{1,40}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=10))
def test_tags_of_any_bytes_come_back_as_they_were(tags: dict[str, bytes]) -> None:
    assert decode_tags(encode_tags(tags)) == tags


def test_tags_are_kept_in_the_attribute_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    write_tags(path, {"a": b"1"}, tmp_path / "tags")
    assert read_tags(path, tmp_path / "tags") == {"a": b"1"}
    assert not (tmp_path / "tags").exists()


def test_tags_too_large_for_the_attribute_are_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    write_tags(path, {"small": b"1"}, tmp_path / "tags")
    large = {"large": b"x" * 100_000}
    write_tags(path, large, tmp_path / "tags")
    assert read_tags(path, tmp_path / "tags") == large


def test_tags_are_kept_beside_where_there_are_no_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
    path = tmp_path / "file"
    path.touch()
    write_tags(path, {"a": b"1"}, tmp_path / "tags", name="published")
    path.rename(tmp_path / "published")
    assert read_tags(tmp_path / "published", tmp_path / "tags") == {"a": b"1"}


def test_a_file_without_tags_has_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_tags(tmp_path / "file", tmp_path / "tags") == {}


def test_tags_of_a_missing_file_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_tags(tmp_path / "file", tmp_path / "tags")


def test_an_own_copy_leaves_the_other_names_alone_and_keeps_the_tags(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"content")
    write_tags(first, {"a": b"1"}, tmp_path / "tags")
    os.link(first, second)
    own_copy(second)
    write_tags(second, {"a": b"2"}, tmp_path / "tags")
    assert read_tags(first, tmp_path / "tags") == {"a": b"1"}
    assert second.read_bytes() == b"content"
    assert first.stat().st_nlink == 1


def no_room(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_tags_that_find_no_room_leave_those_that_were_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sidecars = tmp_path / "5-1-2-file", tmp_path / "tags"
    path.touch()
    write_tags(path, {"a": b"old"}, sidecars)
    monkeypatch.setattr("os.setxattr", no_room)
    monkeypatch.setattr("os.write", no_room)
    with pytest.raises(OSError, match="No space"):
        write_tags(path, {"a": b"new"}, sidecars)
    assert read_tags(path, sidecars) == {"a": b"old"}
    assert list(sidecars.iterdir()) == []


def test_an_own_copy_whose_tags_find_no_room_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"content")
    write_tags(path, {"a": b"1"}, tmp_path / "tags")
    os.link(path, other)
    with monkeypatch.context() as patched:
        patched.setattr("os.setxattr", no_room)
        with pytest.raises(OSError, match="No space"):
            own_copy(path)
    assert read_tags(path, tmp_path / "tags") == {"a": b"1"}
    assert sorted(tmp_path.iterdir()) == [path, other]


def test_an_entry_into_a_step_can_be_taken_back() -> None:
    tags = first_tags("uid", b"x", b"in")
    entered = tags | {"latest.core.step_counter": b"1", "1.p.main.enter_step": b"now"}
    assert before_entry(entered, "p", "main") == tags
    assert before_entry(entered, "other", "main") == entered
