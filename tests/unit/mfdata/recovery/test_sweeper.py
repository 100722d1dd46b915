"""What is a leftover in two looks, and has not changed between them, ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mfdata.recovery import sweeper
from mfdata.recovery.sweeper import Sweeper


class Files(Sweeper):
    """Ends each file of a folder whose name does not begin with "kept"."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.ended: list[str] = []

    def _all_paths(self) -> Iterator[Path]:
        return iter(sorted(self.folder.iterdir()))

    def _leftovers(self, paths: set[Path]) -> Iterable[Path]:
        return (path for path in paths if not path.name.startswith("kept"))

    def _is_certain(self, path: Path) -> bool:
        return path.name == "certain"

    def _end(self, leftovers: list[Path]) -> int:
        for path in leftovers:
            path.unlink()
            self.ended.append(path.name)
        return len(leftovers)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(sweeper, "EVERY_S", 0)
    monkeypatch.setattr(sweeper, "LOOK_COST", 0)
    return Files(tmp_path)


def test_a_leftover_ends_in_the_second_look_and_a_certain_one_in_the_first(files: Files) -> None:
    for name in ("left", "certain", "kept"):
        (files.folder / name).touch()
    assert [files.look(), files.ended] == [1, ["certain"]]
    assert [files.look(), files.look()] == [1, 0]
    assert [path.name for path in files.folder.iterdir()] == ["kept"]


def test_what_changes_between_two_looks_is_a_new_suspect(files: Files) -> None:
    left = files.folder / "left"
    left.touch()
    assert files.look() == 0
    left.chmod(0o600)
    left.chmod(0o640)
    (files.folder / "other").touch()
    left.rename(files.folder / "gone")
    (files.folder / "gone").rename(left)
    assert files.look() == 0
    assert files.look() == 2


def test_of_very_many_each_look_sees_the_next_ones(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "AT_ONCE", 2)
    for number in range(5):
        (files.folder / str(number)).touch()
    assert [files.look() for _ in range(5)] == [0, 2, 2, 1, 0]


def test_no_look_comes_before_its_time(tmp_path: Path) -> None:
    files = Files(tmp_path)
    (tmp_path / "certain").touch()
    assert files.look() == 1
    (tmp_path / "certain").touch()
    assert files.look() == 0
