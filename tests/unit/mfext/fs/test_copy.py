"""Copies and moves of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfext.fs.copy import copy, move


def test_a_copy_has_the_times_of_the_original(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    os.utime(source, (1000, 2000))
    copy(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert (tmp_path / "target").stat().st_mtime == 2000


def test_a_move_to_another_file_system_is_complete_when_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def other_disk(source: str, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise FileNotFoundError(2, "") if not Path(target).parent.exists() else OSError(18, "other disk")
        rename(source, target)

    monkeypatch.setattr(os, "rename", other_disk)
    source, target = tmp_path / "source", tmp_path / "deep" / "folder" / "target"
    source.write_bytes(b"content")
    move(source, target)
    assert target.read_bytes() == b"content"
    assert not source.exists()
    assert list(target.parent.iterdir()) == [target]
