from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import ConfigError, Several
from mfext.plugin.author.check import (
    class_run_by,
    code_faults,
    command_faults,
    new_faults,
    only_defines,
    script_of,
    together_faults,
)
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.supervision.process import Process
from tests.unit.mfext.plugin.plugins import NO_CONFIG, made, module


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return load_plugin(made(tmp_path / "one"), module(), None)


def _process(plugin: Plugin, *command: str) -> Process:
    return Process("job.one.main", command, plugin.folder, "one")


def test_code_that_compiles_has_no_fault(plugin: Plugin) -> None:
    (plugin.folder / "main.py").write_text("print('\\d')\n")
    (plugin.folder / ".hidden.py").write_text("(\n")
    assert list(code_faults(plugin.folder)) == []


def test_code_that_does_not_compile_is_named_with_its_line(plugin: Plugin) -> None:
    (plugin.folder / "sub").mkdir()
    (plugin.folder / "sub/broken.py").write_text("x = 1\nreturn x\n")
    (fault,) = code_faults(plugin.folder)
    assert f"{plugin.folder}/sub/broken.py:2: Python cannot compile this: 'return' outside function" in fault.message


@pytest.mark.parametrize("command", [("sh", "-c", "true"), ("/bin/sh",), (sys.executable, "-m", "any"), ("./run",)])
def test_a_command_that_is_there_has_no_fault(plugin: Plugin, tmp_path: Path, command: tuple[str, ...]) -> None:
    (plugin.folder / "run").touch(mode=0o755)
    assert list(command_faults(_process(plugin, *command), plugin, Home("mfdata", tmp_path))) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((), "the command is empty"),
        (("no_such_program",), 'no program "no_such_program"'),
        (("./config.ini",), 'no program "./config.ini"'),
        ((sys.executable, "other.py"), "other.py"),
    ],
)
def test_a_command_that_is_not_there_is_named(
    plugin: Plugin, tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    (fault,) = command_faults(_process(plugin, *command), plugin, Home("mfdata", tmp_path))
    assert said in fault.message
    assert "config.ini job.one.main" in fault.message


def test_the_script_is_what_our_python_runs(plugin: Plugin) -> None:
    assert script_of(_process(plugin, sys.executable, "main.py")) == plugin.folder / "main.py"
    assert script_of(_process(plugin, sys.executable, "-c", "1")) is None
    assert script_of(_process(plugin, "other", "main.py")) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from a import B\nif __name__ == '__main__':\n    B.main()\n", "B"),
        ("class Own:\n    pass\nOwn.main()\n", "Own"),
        ("import a\na.B.main()\n", "a.B"),
        ("import a as b\nb.B.main()\n", "b.B"),
        ("def run(given):\n    given.step.main()\n", ""),
        ("print(1)\n", ""),
    ],
)
def test_the_class_that_a_script_runs_is_found_without_running_it(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "main.py").write_text(text)
    assert class_run_by(tmp_path / "main.py") == name


@pytest.mark.parametrize(
    ("text", "is_idle"),
    [
        ("from mfdata import Step\nclass Own(Step):\n    pass\n", True),
        ('"""Own."""\nLIMIT = 3\ndef run():\n    pass\n', True),
        ("class Own:\n    pass\nif __name__ == '__main__':\n    Own.main()\n", False),
        ("def run():\n    pass\nDONE = run()\n", False),
        ("import runs_by_itself\n", False),
        ("", False),
        ("(\n", False),
    ],
)
def test_a_script_that_only_defines_something_does_nothing(tmp_path: Path, text: str, is_idle: bool) -> None:
    (tmp_path / "main.py").write_text(text)
    assert only_defines(tmp_path / "main.py") == is_idle


def test_only_faults_that_a_plugin_brings_are_its_own(plugin: Plugin, tmp_path: Path) -> None:
    other = load_plugin(made(tmp_path / "other"), module(), None)

    def check(_home: object, _config: object, plugins: Sequence[Plugin]) -> None:
        raise Several(ConfigError(f"fault of {one.name}") for one in plugins)

    checked = module(check=check)
    home = Home("mfdata", tmp_path)
    faults = together_faults(plugin, home, checked, NO_CONFIG, [other, plugin])
    assert [fault.message for fault in faults] == ["fault of one"]
    assert new_faults([plugin, other], [other], home, checked, NO_CONFIG) == []
