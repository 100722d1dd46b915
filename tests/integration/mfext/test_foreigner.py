"""Plugins in the home of another user."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.mfext.conftest import Site


def test_another_user_root_included_changes_nothing_and_runs_nothing_of_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.does("install", site.release("one"))
    archive, folder = site.release("one", "1.1"), site.plugin("two")
    before = _state(site.home.path)
    monkeypatch.setattr("mfext.owner.os.geteuid", lambda: site.home.path.stat().st_uid + 1)
    acts: tuple[tuple[str | Path, ...], ...] = (
        ("install", "--upgrade", archive),
        ("rollback", "one"),
        ("repair",),
        ("uninstall", "one"),
        ("develop", folder),
        ("check", "one"),
    )
    for act in acts:
        assert "this home of mfdata belongs to user" in site.refuses(*act), act
    assert _state(site.home.path) == before


def test_another_user_looks_but_does_not_end_what_was_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.does("install", site.release("one"))
    (site.home.plugins / ".transaction").mkdir()
    before = _state(site.home.path)
    monkeypatch.setattr("mfext.owner.os.geteuid", lambda: site.home.path.stat().st_uid + 1)
    status, out, err = site.says("list")
    assert (status, "| one " in out) == (0, True)
    assert "WARNING : " in err
    assert "this home of mfdata belongs to user" in err
    assert _state(site.home.path) == before


def _state(folder: Path) -> dict[str, int]:
    """When each file and folder below *folder* was changed."""
    return {str(path): path.lstat().st_ctime_ns for path in folder.rglob("*")}
