"""Every template gives a plugin that is correct, whose own tests pass, and that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.commands.cli import run
from mfext.configuration.inifile import read
from mfext.module import load_module
from mfext.option import Option
from mfext.plugin.author.template import load_template, sections_of, templates
from mfext.plugin.package.archive import read_archive
from mfext.section import declared

NAMES = [template.name for template in templates("mfdata")]


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to make plugins in, beside a home in which mfdata runs."""
    folder = tmp_path_factory.mktemp("templates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METWORK_HOME", str(folder / "homes"))
        patch.setenv("METWORK_CONFIG_D", str(folder / "etc"))
        patch.setenv("MFMODULE", "MFDATA")
        patch.setenv("MFDATA_SUPERVISOR_START_TIMEOUT", "200")
        patch.chdir(folder)
        assert run(["mfdata", "start"]) == 0
        yield folder
        assert run(["mfdata", "stop"]) == 0


def _create(template: str, *more: str) -> Path:
    assert run(["plugins", "create", "--no-input", f"--template={template}", *more, f"my_{template}"]) == 0
    return Path.cwd() / f"my_{template}"


def _made(template: str) -> Path:
    """The plugin of a former test, or a new one."""
    folder = Path.cwd() / f"my_{template}"
    return folder if folder.exists() else _create(template)


def test_the_templates_of_the_story_are_there() -> None:
    wanted = {"default", "archive", "move", "copy", "delete", "ungzip", "image_convert", "command", "ftpsend"}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_plugin_of_the_template_is_correct_passes_its_tests_and_runs(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = _create(name)
    assert capfd.readouterr().out == f"INFO : The plugin my_{name} is correctly created with the template {name}\n"
    assert run(["plugins", "check", str(folder)]) == 0
    with pytest.raises(SystemExit) as ended:
        run(["plugins", "test", str(folder)])
    assert ended.value.code == 0, capfd.readouterr().out
    assert run(["plugins", "develop", str(folder)]) == 0
    capfd.readouterr()
    assert run(["plugins", "list", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capfd.readouterr().out)}
    assert (listed[folder.name]["state"], listed[folder.name]["dev_link"]) == ("running", True)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_released_as_an_archive_that_is_in_order(name: str, tmp_path: Path) -> None:
    assert run(["plugins", "release", "--to", str(tmp_path), str(_made(name))]) == 0
    archive = next(tmp_path.glob("*.plugin"))
    assert run(["plugins", "check", str(archive)]) == 0
    files = {str(path) for path in read_archive(archive).files}
    assert f"/metwork_plugin/my_{name}/main.py" in files or name == "command"
    assert not any("/tests" in path for path in files)


@pytest.mark.parametrize("name", NAMES)
def test_its_config_ini_has_every_key(name: str) -> None:
    text = (_made(name) / "config.ini").read_text()
    for kind in sections_of(load_template(name, "mfdata"), load_module("mfdata")).values():
        for key, option in declared(kind).items():
            assert f"\n# {key} =" in text or f"\n{key} =" in text, key
            assert option.help.split()[0] in text


@pytest.mark.parametrize("name", NAMES)
def test_what_it_sets_is_not_the_default(name: str) -> None:
    sections = sections_of(load_template(name, "mfdata"), load_module("mfdata"))
    for section, values in read(_made(name) / "config.ini").items():
        for key, value in values.values.items():
            known = declared(sections[section]).get(key, Option())
            assert known.required or known.text(known.default) != value.text


@pytest.mark.parametrize("name", NAMES)
def test_its_makefile_is_one_line_and_its_readme_says_how_to_try_it(name: str) -> None:
    folder = _made(name)
    assert (folder / "Makefile").read_text() == "include $(shell metwork plugins makefile)\n"
    assert "python main.py FILE" in (folder / "README.md").read_text()


def test_a_step_runs_alone_on_a_copy_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    folder = _made("default")
    done = subprocess.run(
        [sys.executable, "main.py", str(file)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "outcome: done"), done.stderr
    assert file.read_text() == "some text\n"
