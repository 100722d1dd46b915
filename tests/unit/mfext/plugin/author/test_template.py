from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import ConfigError, Conflict, MetworkError, NotAllowed, UsageError
from mfext.option import option
from mfext.plugin.author import template
from mfext.plugin.author.prompts import settings
from mfext.plugin.author.template import create, default_values, load_template, sections_of, templates
from mfext.plugin.manifest import load_plugin
from mfext.section import Section
from tests.unit.mfext.plugin.plugins import module


@dataclass(frozen=True)
class Custom(Section):
    """Where to."""

    folder: str = option("out", help="A folder.")
    count: int = option(2, minimum=1, help="Not the count of the job.")


class Ready:
    """Stands for a ready-made step."""

    Custom = Custom


@pytest.fixture(autouse=True)
def _templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "software_of", lambda _: tmp_path)
    _template(
        tmp_path, "_parent", "title = parent\nsection = job_main\n", {"Makefile": "m\n", "README.md.j2": "{{ name }}\n"}
    )
    _template(tmp_path, "default", "title = Plain\nparent = _parent\nsection = job_main\n", {"main.py": ""})
    ready = "title = Ready\nparent = default\nsection = job_main\n"
    ready += "step = tests.unit.mfext.plugin.author.test_template:Ready\n"
    ready += "ask = custom.folder\n[set]\njob_main.count = 3\ncustom.folder = there\n"
    _template(tmp_path, "ready", ready, {"main.py.j2": "from {{ step_module }} import {{ step_class }}\n"})


def _template(tmp_path: Path, name: str, text: str, files: Mapping[str, str]) -> None:
    folder = tmp_path / "plugin_templates/mfdata" / name
    (folder / "files").mkdir(parents=True)
    (folder / "template.ini").write_text(f"[template]\n{text}")
    for path, content in files.items():
        (folder / "files" / path).write_text(content)


def _made(name: str, place: Path, *texts: str) -> str:
    chosen = load_template(name, "mfdata")
    values = {**default_values(chosen, place.name), **settings(texts, sections_of(chosen, module()))}
    return create(chosen, values, module(), place, Home("mfdata", place.parent / "home")).name


def test_templates_are_listed_by_name_without_mere_parents() -> None:
    assert [one.name for one in templates("mfdata")] == ["default", "ready"]


def test_a_template_that_does_not_exist_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r'no template "raedy"\. Did you mean "ready"'):
        load_template("raedy", "mfdata")
    with pytest.raises(UsageError, match='no template "_parent"'):
        load_template("_parent", "mfdata")


def test_files_and_values_are_taken_from_the_parents(tmp_path: Path) -> None:
    assert _made("ready", tmp_path / "one") == "one"
    files = {file.name: file.read_text() for file in (tmp_path / "one").iterdir()}
    assert set(files) == {"Makefile", "README.md", "main.py", "config.ini"}
    assert files["README.md"] == "one\n"
    assert files["main.py"] == "from tests.unit.mfext.plugin.author.test_template import Ready\n"


def test_config_ini_has_every_key_and_sets_what_is_not_default(tmp_path: Path) -> None:
    _made("ready", tmp_path / "one", "cmd=run")
    lines = (tmp_path / "one/config.ini").read_text().splitlines()
    in_force = [line for line in lines if line and not line.startswith("#")]
    assert in_force == [
        "[general]", "name = one", "summary = Ready",
        "[job_main]", "cmd = run", "count = 3",
        "[custom]", "folder = there",
    ]  # fmt: skip
    assert {"# version =", "# release = 1", "# vendor =", "# count = 2"} <= set(lines)


def test_the_made_plugin_is_valid_and_has_the_version_of_its_module(tmp_path: Path) -> None:
    _made("default", tmp_path / "one")
    plugin = load_plugin(tmp_path / "one", module(), None)
    assert (plugin.name, plugin.general.version) == ("one", "")


def test_folder_and_name_may_differ(tmp_path: Path) -> None:
    assert _made("default", tmp_path / "folder", "name=other") == "other"
    assert load_plugin(tmp_path / "folder", module(), None).name == "other"


@pytest.mark.parametrize("name", ["config", "plugin_a", "a b"])
def test_a_bad_name_is_refused_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    for place, texts in ((tmp_path / name, []), (tmp_path / "good", [f"name={name}"])):
        with pytest.raises(MetworkError):
            _made("default", place, *texts)
    assert [path.name for path in tmp_path.iterdir()] == ["plugin_templates"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda place: place.symlink_to("nowhere")])
def test_what_exists_is_left_alone(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "one")
    with pytest.raises(Conflict, match="one: this exists already"):
        _made("default", tmp_path / "one")


def test_a_plugin_that_would_not_be_valid_is_not_made(tmp_path: Path) -> None:
    # A value with a placeholder is known only once the plugin is read.
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE"):
        _made("default", tmp_path / "one", "count={{NO_SUCH_VARIABLE}}")
    assert [path.name for path in tmp_path.iterdir()] == ["plugin_templates"]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match=r"no/one: .*No such file"):
        _made("default", tmp_path / "no/one")
