"""Listings of folders that may not be there."""

from __future__ import annotations

from pathlib import Path

from mfdata.storage.folder_listing import folders_in, names_in


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for missing in (tmp_path / "none", tmp_path / "file"):
        assert list(names_in(missing)) == []
        assert folders_in(missing) == []


def test_hidden_names_are_listed_on_demand_only(tmp_path: Path) -> None:
    for name in ("a", ".b"):
        (tmp_path / name).touch()
    assert list(names_in(tmp_path)) == ["a"]
    assert sorted(names_in(tmp_path, hidden=True)) == [".b", "a"]


def test_folders_are_listed_without_files_and_links(tmp_path: Path) -> None:
    for name in ("a", ".b"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "file").touch()
    assert sorted(path.name for path in folders_in(tmp_path)) == [".b", "a"]
