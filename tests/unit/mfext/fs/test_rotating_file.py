from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mfext.fs.rotating_file import AppendFile

WRITER = """
import sys
from pathlib import Path
from mfext.fs.rotating_file import AppendFile
file = AppendFile(Path(sys.argv[1]), 2000, 50)
for number in range(300):
    file.write(f"{sys.argv[2]} {number:04d} {'x' * 20}\\n".encode())
"""


def pieces(path: Path) -> list[str]:
    return sorted(piece.name for piece in path.parent.iterdir())


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"old\n")
    AppendFile(path, 1000, 2).write(b"new\n")
    assert path.read_bytes() == b"old\nnew\n"


def test_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    AppendFile(tmp_path / "a.log", 1000, 2)
    assert pieces(tmp_path / "a.log") == []


def test_a_full_file_is_rotated_and_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = AppendFile(path, 10, 2)
    for number in range(5):
        file.write(f"line {number}\n".encode())
    assert pieces(path) == ["a.log", "a.log.1", "a.log.2"]
    assert [(tmp_path / name).read_text() for name in pieces(path)] == ["line 4\n", "line 3\n", "line 2\n"]


def test_a_line_longer_than_a_file_is_written_whole(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.log", 10, 2)
    file.write(b"x" * 50 + b"\n")
    assert (tmp_path / "a.log").stat().st_size == 51


def test_a_size_of_zero_means_no_rotation(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.log", 0, 2)
    file.write(b"x" * 50)
    file.write(b"x" * 50)
    assert pieces(tmp_path / "a.log") == ["a.log"]


def test_a_gap_left_by_a_killed_writer_is_filled_first(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for suffix, text in (("", "new newer\n"), (".1", "older\n"), (".3", "oldest\n")):
        Path(f"{path}{suffix}").write_text(text)
    AppendFile(path, 10, 3).write(b"newest\n")
    assert [(tmp_path / name).read_text() for name in pieces(path)] == [
        "newest\n",
        "new newer\n",
        "older\n",
        "oldest\n",
    ]


def test_a_file_that_somebody_took_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = AppendFile(path, 1000, 2)
    file.write(b"one\n")
    path.rename(tmp_path / "taken")
    file.write(b"two\n")
    assert path.read_bytes() == b"two\n"


def test_it_can_be_closed_and_goes_on_afterwards(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.log", 1000, 2)
    file.write(b"one\n")
    file.close()
    file.close()
    file.write(b"two\n")
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_an_error_and_the_next_write_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.symlink_to("/dev/full")
    file = AppendFile(path, 1000, 2)
    with pytest.raises(OSError, match="No space"):
        file.write(b"one\n")
    path.unlink()
    file.write(b"two\n")
    assert path.read_bytes() == b"two\n"


def test_several_processes_rotate_together_and_no_line_is_lost_or_torn(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    lines = [line for piece in tmp_path.iterdir() for line in piece.read_text().splitlines()]
    assert sorted(lines) == [f"{name} {number:04d} {'x' * 20}" for name in "abc" for number in range(300)]
    assert len(pieces(path)) > 5
