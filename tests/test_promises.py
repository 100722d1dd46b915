"""Promises that no reviewer can check by eye: what there is, is in the reference; what is offered, works."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType

import pytest

from mfext.module import load_module, module_names
from mfext.plugin.author.template import Header, templates
from mfext.section import Section, declared
from tools.python_api import PACKAGES, public_modules

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
PAGES = [ROOT / name for name in TRACKED if name.endswith(".md") and not name.startswith("plugin_templates/")]

#: Folders that only the machine has on which something was written.
ONE_MACHINE = re.compile(r"(?<![\w.}\]\"'*])/(root|work)/")


#: The header of a template is for those who write templates.
NOT_FOR_USERS = (Header,)


def docs_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tool", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_key_command_and_error_is_in_the_reference_as_it_is_declared() -> None:
    # The pages are made from the declarations: they hold all when they are up to date.
    for name, text in docs_tool().pages().items():
        assert (REFERENCE / name).read_text("utf-8") == text, f"docs/reference/{name} is old: run make docs"


def test_every_declared_key_is_on_some_page() -> None:
    pages = "".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    for name in (name.removesuffix(".py").replace("/", ".") for name in TRACKED if re.match(r"mf\w+/.*\.py$", name)):
        for kind in vars(importlib.import_module(name.removesuffix(".__init__"))).values():
            if isinstance(kind, type) and issubclass(kind, Section) and kind not in NOT_FOR_USERS:
                assert [key for key in declared(kind) if f"| `{key}` |" not in pages] == [], f"{kind} of {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_the_python_api_is_in_the_reference(package: str) -> None:
    page = (REFERENCE / f"python_{package}.md").read_text("utf-8")
    for module in public_modules(package):
        assert f"## `{module.path}`\n" in page
        imported = importlib.import_module(module.path)
        own = [name for name in imported.__all__ if not isinstance(getattr(imported, name, imported), ModuleType)]
        assert [name.path for name in module.names] == [f"{module.path}.{name}" for name in own]
        for name in module.names:
            assert f"### `{name.path}`\n" in page
            assert [one.name for one in name.methods if f"#### `{one.name}`\n" not in page] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_the_python_api_says_what_it_is_and_what_each_parameter_means(package: str) -> None:
    for name in (one for module in public_modules(package) for top in module.names for one in top.with_methods()):
        assert name.text.partition("\n")[0].rstrip().endswith("."), f"{name.path}: no first line that says what it is"
        described = (*name.parameters, *name.attributes, *name.raises)
        assert [one.name for one in described if not one.meaning] == [], f"{name.path}: parameters without a word"


def test_every_console_script_is_a_command_in_the_reference() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    page = (REFERENCE / "commands.md").read_text("utf-8")
    for line in setup["options.entry_points"]["console_scripts"].strip().splitlines():
        script = line.partition("=")[0].strip()
        words = script.lstrip("_").split(".", 1) if script != "bootstrap_plugin.py" else [script]
        assert " ".join(words) in page, f"{script} is not in docs/reference/commands.md"


@pytest.mark.parametrize("module", module_names())
def test_every_template_is_named_in_a_test(module: str) -> None:
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    for template in templates(module):
        words = (f'"{template.name}"', f"--template={template.name}", "templates(")
        assert any(word in tests for word in words), f"no test makes a plugin from template {template.name}"


@pytest.mark.parametrize("module", module_names())
def test_every_command_of_a_module_has_a_dotted_script(module: str) -> None:
    scripts = (ROOT / "setup.cfg").read_text("utf-8")
    for command in load_module(module).commands():
        assert f"{module}.{command.name} = " in scripts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_nothing_names_places_of_one_machine() -> None:
    texts = {name: path.read_text("utf-8", errors="replace") for name in TRACKED if (path := ROOT / name).is_file()}
    assert [f"{name}: {match[0]}" for name, text in texts.items() for match in ONE_MACHINE.finditer(text)] == []
    assert "://" not in texts["requirements.lock"]


def test_everything_needed_is_in_the_lock() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = (setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]).splitlines()
    wanted = {re.split(r"[ <>=!~;\[]", line.strip())[0] for line in lines if line.strip() and line[0] != "#"}
    locked = re.findall(r"^([A-Za-z0-9._-]+)", (ROOT / "requirements.lock").read_text("utf-8"), flags=re.MULTILINE)
    assert {normalised(name) for name in wanted} <= {normalised(name) for name in locked}, "run tools/lock"


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_word_of_the_design_is_in_the_glossary() -> None:
    words = (
        "incoming directory, observer, queue, claim, switch, rule, destination, step, outcome, retry, quarantine, "
        "trace, plugin, template, release, dev-link"
    )
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    assert [word for word in words.split(", ") if f"| **{word}** |" not in glossary] == []
