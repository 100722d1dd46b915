"""Injection into an incoming directory: nobody's file is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.operations import injection
from mfext.errors import Conflict


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_of_a_producer_that_was_quicker_stays(
    keep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, source = tmp_path / "incoming", tmp_path / "a"
    directory.mkdir()
    source.write_bytes(b"ours")
    found: list[bytes] = []

    def wait(target: Path, _deadline: float) -> None:
        if found:  # it is still there when we look for the second time, and taken then
            found.append(target.read_bytes())
            target.unlink()
        else:
            target.write_bytes(b"theirs")
            found.append(b"")

    monkeypatch.setattr(injection, "_wait_until_free", wait)
    target = injection.into_directory(source, directory, keep=keep)
    assert found == [b"", b"theirs"]
    assert target.read_bytes() == b"ours"
    assert source.exists() is keep
    assert [path.name for path in directory.iterdir()] == ["a"]


@pytest.mark.parametrize("keep", [True, False])
def test_a_name_that_stays_taken_is_a_conflict(keep: bool, tmp_path: Path) -> None:
    directory, source = tmp_path / "incoming", tmp_path / "a"
    directory.mkdir()
    source.write_bytes(b"ours")
    (directory / "a").write_bytes(b"theirs")
    with pytest.raises(Conflict):
        injection.into_directory(source, directory, keep=keep, is_running=False)
    assert source.exists()
    assert (directory / "a").read_bytes() == b"theirs"
