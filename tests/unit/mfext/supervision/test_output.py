from __future__ import annotations

import os
from pathlib import Path

from mfext import log
from mfext.fs.rotating_file import AppendFile
from mfext.supervision.launch import output_heading
from mfext.supervision.output import cut, last_lines
from mfext.testing import temporary_home


def test_the_last_lines_of_one_process_are_found(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    lines = [output_heading(11), "a", "", "b\x1b[1m", output_heading(12), *"cdefghi"]
    (home.log / "p.out").write_text("\n".join(lines))
    assert last_lines(home, "p", 11) == ["a", "b\\x1b[1m"]
    assert last_lines(home, "p", 12) == list("efghi")
    assert last_lines(home, "p") == list("efghi")
    assert last_lines(home, "p", 13) == []
    assert last_lines(home, "other") == []


def test_who_wrote_nothing_is_quoted_from_its_log(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    (home.log / "p.out").write_text(output_heading(os.getpid()) + "\n")
    sink = log.Sink("p", "info", AppendFile(home.log / "p.log", 1000, 1), to_terminal=False)
    sink.log("info", "x", "all is well", {})
    sink.log("error", "x", "it failed", {"traceback": "Traceback\nValueError: no"})
    assert last_lines(home, "p", os.getpid()) == ["it failed", "ValueError: no"]
    assert last_lines(home, "p", 1) == []


def test_a_large_file_is_cut_and_its_last_part_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.out"
    with path.open("ab") as writer:
        writer.write(b"a" * 50 + b"b" * 100)
        writer.flush()
        cut(path, 100)
        writer.write(b"c")
    assert path.read_bytes() == b"c"
    assert (tmp_path / "p.out.1").read_bytes() == b"b" * 100


def test_a_small_or_missing_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p.out").write_bytes(b"a")
    cut(tmp_path / "p.out", 100)
    cut(tmp_path / "no.out", 100)
    assert [path.name for path in tmp_path.iterdir()] == ["p.out"]
