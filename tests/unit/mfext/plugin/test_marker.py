"""The note in the folder of an installed release."""

from __future__ import annotations

from pathlib import Path

from mfext.plugin.marker import FILE, Marker, markers, read_marker, write_marker
from mfext.testing import temporary_home

MARKER = Marker("one", "1.0", "2", "one.plugin", "abc", "s1", "none", 5.0, ("metwork-mfdata",), "old.plugin")


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_marker(tmp_path, MARKER)
    assert read_marker(tmp_path) == MARKER
    assert MARKER.full_version == "1.0-2"


def test_what_is_no_note_is_none(tmp_path: Path) -> None:
    assert read_marker(tmp_path) is None
    for text in ("", "{}", "[]", '{"name": "x"}', "null", '{"requires": 5}'):
        (tmp_path / FILE).write_text(text)
        assert read_marker(tmp_path) is None


def test_only_installed_releases_have_one(tmp_path: Path) -> None:
    home = temporary_home(tmp_path / "homes")
    (home.plugins / "one").mkdir()
    write_marker(home.plugins / "one", MARKER)
    (home.plugins / ".transaction").mkdir()
    write_marker(home.plugins / ".transaction", MARKER)
    (home.plugins / "by_hand").mkdir()
    (home.plugins / "linked").symlink_to(home.plugins / "one")
    assert markers(home) == {"one": MARKER}
    assert markers(temporary_home(tmp_path / "other")) == {}
