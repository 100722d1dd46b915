"""A layer is there for the plugin that asks for it, and for no other one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mfdata.module import MODULE
from mfext.commands.cli import run
from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.errors import ConfigError, UsageError
from mfext.plugin.author.check import faults
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.testing import temporary_home

MAIN = """\
from mfdata import Step
import tiny

class Main(Step):
    def process(self, file):
        return None

if __name__ == "__main__":
    Main.main()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("METWORK_HOME", str(tmp_path))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    monkeypatch.setenv("METWORK_LAYERS", str(tmp_path / "opt"))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = tmp_path / "opt/metwork-mfext-layer-small/lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "tiny.py").write_text("size = 1\n")
    return temporary_home(tmp_path)


def plugin(folder: Path, home: Home, layers: str) -> Plugin:
    folder.mkdir()
    asked = f"layers = {layers}\n" if layers else ""
    step = "[step_main]\ncmd = {PYTHON} main.py\nswitch_logical_condition = False\n"
    (folder / "config.ini").write_text(f"[general]\nname = {folder.name}\n{asked}{step}")
    (folder / "main.py").write_text(MAIN)
    return load_plugin(folder, MODULE, home)


def faults_of(one: Plugin, home: Home) -> list[str]:
    return [fault.message for fault in faults(one, home, MODULE, module_config(MODULE, home), [])]


def test_a_layer_is_there_for_the_plugin_that_asks_for_it_alone(tmp_path: Path, home: Home) -> None:
    asking = plugin(tmp_path / "asking", home, "small")
    other = plugin(tmp_path / "other", home, "")
    processes = {one.plugin: one for one in MODULE.processes(home, module_config(MODULE, home), [asking, other])}
    assert "metwork-mfext-layer-small" in processes["asking"].environment["PYTHONPATH"]
    assert "PYTHONPATH" not in processes["other"].environment
    assert faults_of(asking, home) == []
    assert ["No module named 'tiny'" in fault for fault in faults_of(other, home)] == [True]


def test_a_layer_that_is_not_here_is_a_fault_of_the_plugin_that_asks_for_it(tmp_path: Path, home: Home) -> None:
    asking = plugin(tmp_path / "asking", home, "scientific")
    with pytest.raises(ConfigError, match=r"config\.ini:3 \[general\] layers: there is no layer .scientific."):
        MODULE.check(home, module_config(MODULE, home), [asking])


def test_a_command_is_run_with_the_layers_of_the_plugin_in_this_folder(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(tmp_path / "asking", home, "small")
    monkeypatch.chdir(tmp_path / "asking")
    assert run(["plugins", "run", "--", sys.executable, "-c", "import tiny; raise SystemExit(tiny.size + 6)"]) == 7
    assert run(["plugins", "run", "--", "no_such_program"]) == UsageError.exit_code
