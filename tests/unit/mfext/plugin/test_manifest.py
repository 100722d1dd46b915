from __future__ import annotations

from pathlib import Path

import pytest

from mfext.errors import ConfigError, MetworkError, PluginError
from mfext.module import load_module
from mfext.plugin.manifest import load_plugin
from mfext.testing import temporary_home
from mfext.version import software_version
from tests.unit.mfext.plugin.plugins import Job, made, module


def test_a_plugin_is_read_from_its_folder(tmp_path: Path) -> None:
    folder = made(
        tmp_path / "folder", "other", "version = 1.2\nrelease = 3\nsummary = s\n[job_main]\n[custom]\nany = 1\n"
    )
    plugin = load_plugin(folder, module(), None)
    assert (plugin.name, plugin.module, plugin.folder) == ("other", "mfdata", folder)
    assert (plugin.version, plugin.release, plugin.general.summary) == ("1.2", "3", "s")
    assert plugin.config.names("job_*") == ["job_main"]


def test_a_plugin_without_version_has_that_of_its_module(tmp_path: Path) -> None:
    plugin = load_plugin(made(tmp_path / "one"), module(), None)
    assert (plugin.version, plugin.release) == (software_version(), "1")


def test_its_folder_is_the_real_one_behind_a_link(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")
    (tmp_path / "link").symlink_to(folder)
    assert load_plugin(tmp_path / "link", module(), None, dev_link=True).folder == folder


def test_layers_override_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = temporary_home(tmp_path / "home")
    folder = made(tmp_path / "my-one", more="[job_main]\ncount = 1\n")
    monkeypatch.setenv("METWORK_CONFIG_D", str(tmp_path / "etc"))

    def count() -> tuple[int, str]:
        config = load_plugin(folder, module(), home).config
        return config.section("job_main", Job).count, config.origin("job_main", "count")

    assert count() == (1, f"{folder}/config.ini:4")
    for value, file in ((2, home.config / "plugins/my-one.ini"), (3, tmp_path / "etc/mfdata/plugins/my-one.ini")):
        file.parent.mkdir(parents=True)
        file.write_text(f"[job_main]\ncount = {value}\n")
        assert count() == (value, f"{file}:2")
    monkeypatch.setenv("MFDATA_PLUGIN_MY_ONE_JOB_MAIN_COUNT", "4")
    assert count() == (4, "environment MFDATA_PLUGIN_MY_ONE_JOB_MAIN_COUNT")


def test_the_name_cannot_be_overridden(tmp_path: Path) -> None:
    home = temporary_home(tmp_path / "home")
    folder = made(tmp_path / "one")
    (home.config / "plugins").mkdir()
    (home.config / "plugins/one.ini").write_text("[general]\nname = two\n")
    with pytest.raises(ConfigError, match=r"one\.ini:2 \[general\] name: .*private"):
        load_plugin(folder, module(), home)


def test_placeholders_name_the_home_and_the_folder(tmp_path: Path) -> None:
    home = temporary_home(tmp_path / "home")
    folder = made(
        tmp_path / "one", more="[job_main]\ncmd = {{PLUGIN_FOLDER}}/x {{MFMODULE_RUNTIME_HOME}} {{MFMODULE}}\n"
    )
    plugin = load_plugin(folder, module(), home)
    assert plugin.config.section("job_main", Job).cmd == f"{folder}/x {home.path} MFDATA"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"config\.ini: the section \[general\] is missing"),
        ("[general]\n[job_main]\n", r"config\.ini:1 \[general\] name: this key is missing"),
        ("[general]\nname = a b\n[job_main]\n", r"config\.ini:2 \[general\] name: \"a b\" has not the right form"),
        (
            "[general]\nname = config\n[job_main]\n",
            r"config\.ini:2 .*\"config\" cannot be the name of a plugin: .*reserved",
        ),
        ("[general]\nname = a\n", r"config\.ini: the plugin has nothing that runs; expected a section \[job_NAME\]"),
        ("[general]\nname = a\n[switch_rules:fnmatch:x]\na = main\n", "nothing that runs"),
        (
            "[general]\nname = a\n[job_main]\ncuont = 1\n",
            r"config\.ini:4 \[job_main\] cuont: unknown key\. .*\"count\"",
        ),
        (
            "[general]\nname = a\n[job_main]\ncount = many\n",
            r"config\.ini:4 \[job_main\] count: \"many\" is not a whole",
        ),
        ("[general]\nname = a\n[jbo_main]\n", r"config\.ini:3 \[jbo_main\]: unknown section"),
        ("[general]\nname = a\n[job_a/../b]\n", r"config\.ini: \"job_a/\.\./b\" cannot be the name of a section"),
        ("[general]\nname = a\n[job_main]\ncmd = {{NO_SUCH_ONE}}\n", r"config\.ini:4 .*no variable \"NO_SUCH_ONE\""),
    ],
)
def test_a_wrong_config_ini_is_refused_at_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.ini").write_text(text)
    with pytest.raises(MetworkError, match=said):
        load_plugin(tmp_path, module(), temporary_home(tmp_path / "home"))


@pytest.mark.parametrize(
    ("here", "text", "other"),
    [
        ("mfserv", "[step_main]\n[switch_rules:fnmatch:x]\na = main\n", "mfdata"),
        ("mfserv", "[step_main]\nnonsense = 1\n[custom]\n[stpe_other]\n", "mfdata"),
        ("mfdata", "[app_main]\n[custom]\n", "mfserv"),
    ],
)
def test_a_plugin_of_another_module_is_called_so(tmp_path: Path, here: str, text: str, other: str) -> None:
    (tmp_path / "config.ini").write_text(f"[general]\nname = a\n{text}")
    with pytest.raises(PluginError) as caught:
        load_plugin(tmp_path, load_module(here), temporary_home(tmp_path / "home"))
    assert caught.value.message == (
        f"{tmp_path}/config.ini: this is a plugin of {other}; expected one of {here}. "
        f'Work on it in "metwork shell {other}", or with MFMODULE={other.upper()}.'
    )


def test_a_section_of_another_module_beside_ones_own_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[general]\nname = a\n[app_main]\n[step_main]\n")
    with pytest.raises(MetworkError, match=r"\[step_main\]: unknown section"):
        load_plugin(tmp_path, load_module("mfserv"), temporary_home(tmp_path / "home"))


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    folder = made(tmp_path / "one", more="[job_main]\ncount = many\nother = 1\n")
    with pytest.raises(MetworkError) as caught:
        load_plugin(folder, module(), None)
    assert "config.ini:4" in caught.value.message
    assert "config.ini:5" in caught.value.message


def test_a_folder_without_config_ini_is_no_plugin(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no config\.ini.*bootstrap_plugin\.py create"):
        load_plugin(tmp_path, module(), None)


def test_what_is_not_there_or_no_folder_is_no_plugin(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no such folder"):
        load_plugin(tmp_path / "none", module(), None)
    (tmp_path / "file").touch()
    with pytest.raises(PluginError, match="not a folder"):
        load_plugin(tmp_path / "file", module(), None)
