"""What is not released."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from mfext.plugin.release.ignore import ALWAYS, is_ignored, patterns


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        (["*.png"], ["a.png", "b/c/a.png"], ["a.pngx", "apng"]),
        (["/*.png"], ["a.png"], ["b/a.png"]),
        (["data/*.bin"], ["data/a.bin"], ["data/b/a.bin", "x/data/a.bin"]),
        (["data/**"], ["data/a", "data/b/c"], ["data2/a"]),
        (["**/big"], ["big", "a/b/big"], ["bigger"]),
        (["build/"], ["build/"], ["build"]),
        (["file?.[ch]"], ["file1.c", "a/fileX.h"], ["file12.c", "file1.o"]),
        (["[!a]x"], ["bx"], ["ax"]),
        (["*.png", "!keep.png"], ["a.png"], ["keep.png", "d/keep.png"]),
        (["# all", "", "  ", " *.tmp "], ["a.tmp"], ["# all"]),
        ([r"\#one", r"two\ "], ["#one", "two "], ["two"]),
        (["data/*", "!data/keep/"], ["data/a"], ["data/keep/"]),
        (["doc/**/a.txt"], ["doc/a.txt", "doc/b/c/a.txt"], ["a.txt"]),
        (["a+b(c).txt"], ["a+b(c).txt"], ["aab(c).txt"]),
        (ALWAYS, [".git/", "lib/__pycache__/", "a.pyc", "one-1-1.metwork.mfdata.plugin", ".installed"], ["main.py"]),
    ],
)
def test_patterns_are_those_of_git(lines: list[str], ignored: list[str], kept: list[str]) -> None:
    known = patterns(lines)
    assert [path for path in (*ignored, *kept) if is_ignored(PurePath(path), path.endswith("/"), known)] == ignored
