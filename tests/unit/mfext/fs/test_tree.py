from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfext.fs.tree import remove_tree, sync_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "one"
    for name in ("a", "b/c", "b/d/e", "b/.hidden"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    (made / "empty").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (made / "link").symlink_to(tmp_path / "kept")
    (made / "b" / "dangling").symlink_to("nowhere")
    return made


def test_a_folder_is_removed_and_nothing_that_its_links_lead_to(folder: Path) -> None:
    remove_tree(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]
    assert (folder.parent / "kept" / "file").read_text() == "x"


def test_what_is_no_folder_is_no_error(folder: Path) -> None:
    remove_tree(folder / "missing")
    remove_tree(folder / "link")
    assert (folder.parent / "kept" / "file").exists()


def name_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def test_all_of_a_folder_is_brought_to_the_disk_once_but_for_links(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(name_of(descriptor)))
    sync_tree(folder)
    expected = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    assert sorted(synced) == sorted(map(str, expected))


def test_what_cannot_be_brought_to_the_disk_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        sync_tree(folder)
