from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.fs.pieces import FollowedFile, lines_backwards, lines_forwards, pieces
from mfext.fs.rotating_file import AppendFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


@pytest.fixture
def writer(path: Path) -> Iterator[AppendFile]:
    file = AppendFile(path, max_bytes=100, keep=3)
    yield file
    file.close()


def write(writer: AppendFile, first: int, last: int) -> list[bytes]:
    lines = [b"line %05d" % number for number in range(first, last + 1)]
    for line in lines:
        writer.write(line + b"\n")
    return lines


def were(file: FollowedFile) -> list[bytes]:
    backwards = [line for opened, end in file.before(newest_first=True) for line in lines_backwards(opened, end)]
    forwards = [line for opened, end in file.before(newest_first=False) for line in lines_forwards(opened, end)]
    assert forwards == backwards[::-1]
    return forwards


def test_pieces_come_with_the_newest_first(path: Path) -> None:
    for name in ("a.log", "a.log.10", "a.log.2", "a.log.old", "b.log", "a.out"):
        (path.parent / name).touch()
    assert [piece.name for piece in pieces(path)] == ["a.log", "a.log.2", "a.log.10"]


def test_lines_are_read_backwards_over_the_bounds_of_blocks(path: Path) -> None:
    lines = [b"x" * length for length in (1, 70_000, 3, 140_000, 65_536, 2)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with path.open("rb") as file:
        assert [*lines_backwards(file, path.stat().st_size)] == lines[::-1]


def test_what_was_there_and_what_comes_are_each_line_once_whatever_is_rotated(path: Path, writer: AppendFile) -> None:
    lines = write(writer, 1, 15)
    with FollowedFile(path) as file:
        more = write(writer, 16, 30)
        assert were(file) == lines
        assert [*file.new_lines()] == more
        assert [*file.new_lines()] == []
        assert [*file.new_lines()] == []
        more = write(writer, 31, 32)
        assert [*file.new_lines()] == more


def test_a_line_that_was_written_to_a_piece_after_it_was_rotated_comes(path: Path, writer: AppendFile) -> None:
    write(writer, 1, 3)
    with FollowedFile(path) as file:
        with path.open("ab") as late:
            path.rename(f"{path}.1")
            path.write_bytes(b"new\n")
            assert [*file.new_lines()] == [b"new"]
            late.write(b"late\n")
        assert [*file.new_lines()] == [b"late"]


def test_an_unfinished_line_comes_when_it_is_whole(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    with FollowedFile(path) as file:
        assert were(file) == [b"one"]
        assert [*file.new_lines()] == []
        with path.open("ab") as more:
            more.write(b"o\n")
        assert [*file.new_lines()] == [b"two"]


def test_a_file_that_was_emptied_is_read_from_its_begin(path: Path) -> None:
    path.write_bytes(b"much of old\n")
    with FollowedFile(path) as file:
        path.write_bytes(b"new\n")
        assert [*file.new_lines()] == [b"new"]


def test_a_file_without_older_pieces_is_followed_when_it_is_replaced(path: Path) -> None:
    writer = AppendFile(path, max_bytes=25, keep=0)
    lines = write(writer, 1, 2)
    with FollowedFile(path) as file:
        found = []
        for number in range(3, 20):
            lines += write(writer, number, number)
            found += [*file.new_lines()]
        assert found == lines[2:]


def test_of_a_file_that_begins_every_line_comes(path: Path, writer: AppendFile) -> None:
    with FollowedFile(path, from_begin=True) as file:
        lines = write(writer, 1, 15)
        assert [*file.new_lines()] == lines
        assert were(file) == []
