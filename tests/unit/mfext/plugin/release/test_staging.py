"""The copy of a plugin that is released."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from mfext.errors import PluginError, Several
from mfext.plugin.release.staging import EPOCH, escapes, settle, stage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "one"
    for name in ("config.ini", "lib/a.py", "lib/__pycache__/a.pyc", ".git/HEAD", "tests/test_a.py", "one.plugin"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    (made / "empty").mkdir()
    (made / "link").symlink_to("lib/a.py")
    (made / "run").write_text("#!/bin/sh\n")
    (made / "run").chmod(0o700)
    return made


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_tools_leave_is_not_released(folder: Path, tmp_path: Path) -> None:
    stage(folder, tmp_path / "staged")
    assert content(tmp_path / "staged") == [
        "config.ini", "empty", "lib", "lib/a.py", "link", "run", "tests", "tests/test_a.py",
    ]  # fmt: skip


def test_a_line_that_git_would_not_understand_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / ".releaseignore").write_text("tests/\n!\n")
    with pytest.raises(PluginError, match=r"\.releaseignore: git would not understand this: .*'!'"):
        stage(folder, tmp_path / "staged")


def test_releaseignore_says_what_else_is_not(folder: Path, tmp_path: Path) -> None:
    (folder / ".releaseignore").write_text("# not these\ntests/\nempty\nrun\n")
    stage(folder, tmp_path / "staged")
    assert content(tmp_path / "staged") == ["config.ini", "lib", "lib/a.py", "link"]


def test_modes_and_times_do_not_depend_on_the_source(folder: Path, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        stage(folder, tmp_path / "staged")
        settle(tmp_path / "staged")
    finally:
        os.umask(mask)
    for name, mode in (("config.ini", 0o644), ("run", 0o755), ("lib", 0o755), ("", 0o755)):
        status = (tmp_path / "staged" / name).stat()
        assert (name, status.st_mode & 0o7777, status.st_mtime) == (name, mode, EPOCH)
    assert (tmp_path / "staged/link").lstat().st_mtime == EPOCH


def test_everything_that_cannot_be_released_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "lib" / "above").symlink_to("../../two")
    os.mkfifo(folder / "fifo")
    with pytest.raises(Several) as error:
        stage(folder, tmp_path / "staged")
    assert [one.where.removeprefix(f"{folder}/") for one in error.value.errors] == ["fifo", "lib/above", "outside"]
    assert not (tmp_path / "staged").exists()


def test_what_is_ignored_may_be_anything(folder: Path, tmp_path: Path) -> None:
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / ".releaseignore").write_text("outside\n")
    stage(folder, tmp_path / "staged")
    assert not (tmp_path / "staged" / "outside").is_symlink()


def test_a_releaseignore_that_cannot_be_read_is_an_error(folder: Path, tmp_path: Path) -> None:
    (folder / ".releaseignore").write_bytes(b"\xff\n")
    with pytest.raises(PluginError, match="releaseignore: cannot be read"):
        stage(folder, tmp_path / "staged")


@pytest.mark.parametrize(
    ("path", "target", "is_out"),
    [
        ("a", "b", False),
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("a", "..", True),
        ("a", ".", False),
        ("a", "/a", True),
        ("a", "", True),
        ("a/b/c", "../x/../../y", False),
        ("a", "..b", False),
    ],
)
def test_a_link_out_of_the_plugin_is_recognised(path: str, target: str, is_out: bool) -> None:
    assert escapes(PurePath(path), target) is is_out
