from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import MetworkError, PluginError, UsageError
from mfext.plugin.installed import find, installed_plugins, survey
from mfext.testing import temporary_home
from mfext.version import software_version
from tests.unit.mfext.plugin.plugins import NO_CONFIG, made, module


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def test_built_in_installed_and_dev_linked_plugins_are_listed_by_name(tmp_path: Path, home: Home) -> None:
    builtin = made(tmp_path / "software/m_builtin")
    made(home.plugins / "z_installed")
    (home.plugins / "a_linked").symlink_to(made(tmp_path / "work/a_linked"))
    plugins = installed_plugins(home, module([builtin]), NO_CONFIG)
    assert [(plugin.name, plugin.dev_link, plugin.builtin) for plugin in plugins] == [
        ("a_linked", True, False),
        ("m_builtin", False, True),
        ("z_installed", False, False),
    ]


def test_a_home_that_was_never_used_has_none(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    home.plugins.rmdir()
    assert installed_plugins(home, module(), NO_CONFIG) == []


def test_dot_names_are_work_in_progress(home: Home) -> None:
    made(home.plugins / ".a.1234")
    assert survey(home, module(), NO_CONFIG) == []


def test_a_broken_plugin_hides_no_other(home: Home) -> None:
    made(home.plugins / "good")
    made(home.plugins / "bad", more="[job_main]\ncount = x\n")
    bad, good = survey(home, module(), NO_CONFIG)
    assert (bad.name, bad.plugin) == ("bad", None)
    assert "config.ini:4" in str(bad.error)
    assert good.plugin is not None
    with pytest.raises(MetworkError, match=r"config\.ini:4"):
        installed_plugins(home, module(), NO_CONFIG)


def test_two_plugins_with_one_name_are_an_error_that_names_both_folders(tmp_path: Path, home: Home) -> None:
    (home.plugins / "one").symlink_to(made(tmp_path / "first", "same"))
    made(home.plugins / "two", "same")
    made(home.plugins / "three")
    with pytest.raises(PluginError) as caught:
        installed_plugins(home, module(), NO_CONFIG)
    assert str(tmp_path / "first") in caught.value.message
    assert str(home.plugins / "two") in caught.value.message
    assert [one.plugin is None for one in survey(home, module(), NO_CONFIG)] == [True, True, False]


def test_of_what_is_known_only_what_was_changed_is_read_again(home: Home) -> None:
    for name in ("changed", "gone", "ill", "same"):
        made(home.plugins / name)
    (home.plugins / "ill" / "config.ini").write_text("?")
    before = survey(home, module(), NO_CONFIG)
    shutil.rmtree(home.plugins / "gone")
    made(home.plugins / "new")
    for name in ("changed", "ill", "same"):
        (home.plugins / name / "config.ini").write_text(f"[general]\nname = {name}\nversion = 2\n[job_main]\n")
    after = survey(home, module(), NO_CONFIG, known=before, changed=("changed",))
    assert [one.name for one in after] == ["changed", "ill", "new", "same"]
    versions = [one.plugin.version for one in after if one.plugin]
    assert versions == ["2", "2", software_version(), software_version()]


def test_a_dev_link_to_nothing_says_so(tmp_path: Path, home: Home) -> None:
    (home.plugins / "gone").symlink_to(tmp_path / "gone")
    (one,) = survey(home, module(), NO_CONFIG)
    assert one.dev_link
    assert f"{tmp_path / 'gone'}" in str(one.error)
    assert "plugins.uninstall gone" in str(one.error)


def test_find_gives_the_nearest_name_for_one_that_is_not_there(home: Home) -> None:
    made(home.plugins / "archive_image")
    places = survey(home, module(), NO_CONFIG)
    assert find("archive_image", places).name == "archive_image"
    with pytest.raises(UsageError, match=r'"archive_imgae" is not installed\. Did you mean "archive_image"'):
        find("archive_imgae", places)
