"""Two folders change places."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfext.fs import exchange as module
from mfext.fs.exchange import complete, exchange


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "sub" / "other"
    for folder, text in ((one, "1"), (other, "2")):
        folder.mkdir(parents=True)
        (folder / "file").write_text(text)
    return one, other


def texts(*folders: Path) -> list[str]:
    return [(folder / "file").read_text() for folder in folders]


def test_each_takes_the_place_of_the_other(folders: tuple[Path, Path]) -> None:
    exchange(*folders)
    assert texts(*folders) == ["2", "1"]
    exchange(*folders)
    assert texts(*folders) == ["1", "2"]


def test_both_must_be_there(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exchange(folders[0], tmp_path / "none")
    assert texts(*folders) == ["1", "2"]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_where_it_takes_three_steps_it_is_completed_after_a_kill(folders: tuple[Path, Path], steps: int) -> None:
    one, other = folders
    aside = other.with_name("other.aside")
    for source, target in ((one, aside), (other, one), (aside, other))[:steps]:
        source.rename(target)
    complete(one, other)
    assert texts(*folders) == ["2", "1"]
    complete(one, other)
    assert texts(*folders) == ["2", "1"]


def test_three_steps_do_the_same(folders: tuple[Path, Path]) -> None:
    module._in_three_steps(*folders)
    assert texts(*folders) == ["2", "1"]
