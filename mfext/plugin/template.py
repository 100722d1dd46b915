"""Template: what a new plugin is made from; list them, and make a plugin, whole or not at all."""

from __future__ import annotations

import importlib
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.configfile import layered
from mfext.environment import SOFTWARE
from mfext.errors import Conflict, InternalError, NotAllowed, UsageError, nearest
from mfext.option import option
from mfext.plugin.general import General, name_fault
from mfext.plugin.manifest import load_plugin
from mfext.section import FreeSection, Schema, Section, declared

if TYPE_CHECKING:
    from mfext.module import Module

#: Where the templates of all modules lie, one folder a module.
TEMPLATES = SOFTWARE / "plugin_templates"

#: Values of a config.ini to be, by section and key.
Values = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Header(Section):
    """What a template is."""

    title: str = option(help="What a plugin made from it does, in one line.")
    help: str = option("", help="What it does, at length, for the README of the plugin.")
    parent: str = option("", help="The template whose files are taken where this one has none of that name.")
    section: str = option("step_main", help="The section of config.ini that says what runs.")
    step: str = option(
        "",
        help="The class that the plugin runs, whose Custom declares the keys of [custom].",
        pattern=r"([A-Za-z0-9_.]+:[A-Za-z0-9_]+)?",
        example="mfdata.steps.archive:Archive",
    )
    ask: tuple[str, ...] = option((), help="Keys to ask for besides those of [general]: SECTION.KEY.", separator=",")


@dataclass(frozen=True)
class Template:
    """A template with all that it takes from its parents."""

    name: str
    header: Header
    #: What it sets in the plugin's config.ini.
    values: Values
    #: Source of each file of the plugin, by its path in the plugin's folder.
    files: Mapping[Path, Path]


_SCHEMA = Schema({"template": Header, "set": FreeSection}, required=("template",))


def templates(module: str) -> list[Template]:
    """The templates of *module*, sorted by name."""
    return [load_template(name, module) for name in _names(module)]


def load_template(name: str, module: str) -> Template:
    """The template of *module* that is called *name*.

    Raises:
        UsageError: there is none.
    """
    if name not in _names(module):
        raise UsageError(f'{module} has no template "{name}"', mend=nearest(name, _names(module)))
    return _load(name, module)


def sections_of(template: Template, module: Module) -> dict[str, type[Section]]:
    """What the sections of a config.ini made from *template* declare, in their order."""
    name = template.header.section
    kind = module.plugin_schema.kind(name)
    if kind is None:
        raise InternalError(f"plugins of {module.name} have no section [{name}]", where=f"template {template.name}")
    return {"general": General, name: kind, "custom": _custom(template.header.step)}


def settings(texts: Iterable[str], sections: Mapping[str, type[Section]]) -> dict[tuple[str, str], str]:
    """The values that *texts* set, each ``KEY=VALUE`` or ``SECTION.KEY=VALUE``.

    Raises:
        UsageError: one has another form, or names a key that is not there or is in several sections.
        ConfigError: the key cannot have that value.
    """
    values: dict[tuple[str, str], str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f'--set "{text}" is not understood', expected="KEY=VALUE or SECTION.KEY=VALUE")
        section, key = key_named(name.strip(), sections)
        check_value(section, key, value.strip(), sections)
        values[section, key] = value.strip()
    return values


def key_named(name: str, sections: Mapping[str, type[Section]]) -> tuple[str, str]:
    """Section and key that *name* means: ``SECTION.KEY``, or a key that one section alone has."""
    section, dot, key = name.partition(".")
    known = {f"{one}.{key}": (one, key) for one, kind in sections.items() for key in declared(kind)}
    if dot and section in sections:
        if f"{section}.{key}" in known or issubclass(sections[section], FreeSection):
            return section, key
        raise UsageError(f'there is no key "{name}"', mend=nearest(name, known))
    homes = [pair for pair in known.values() if pair[1] == name]
    if len(homes) > 1:
        raise UsageError(
            f'several sections have a key "{name}"', expected=" or ".join(".".join(pair) for pair in homes)
        )
    if not homes:
        raise UsageError(f'there is no key "{name}"', mend=nearest(name, [*known, *(key for _, key in known.values())]))
    return homes[0]


def check_value(section: str, key: str, value: str, sections: Mapping[str, type[Section]]) -> None:
    """Raise a ConfigError when *value* is not right; one with a placeholder is known only when it is in force."""
    known = declared(sections[section])
    if key in known and "{{" not in value:
        known[key].parse(value, f"{section}.{key}")


def default_values(template: Template, name: str) -> dict[tuple[str, str], str]:
    """What the config.ini of a plugin *name* sets when nobody says otherwise."""
    return {("general", "name"): name, ("general", "summary"): template.header.title, **template.values}


def questions(template: Template) -> list[tuple[str, str]]:
    """Section and key of all that a person is asked for, in order."""
    own = (name.partition(".") for name in template.header.ask)
    return [("general", key) for key in declared(General) if key != "name"] + [
        (section, key) for section, _, key in own
    ]


def create(template: Template, values: Values, module: Module, place: Path) -> str:
    """Make a plugin from *template* in the new folder *place*, and give its name.

    It is built beside its place and renamed: whatever happens, there is a whole plugin or none.

    Args:
        template: what it is made from.
        values: what its config.ini sets, such as ``default_values`` gives; the name is needed.
        module: the module whose plugin it is.
        place: the folder to be made.

    Raises:
        UsageError: the name cannot be one of a plugin.
        Conflict: there is something at *place* already.
        ConfigError: with these values it would not be valid.
    """
    name = values["general", "name"]
    check_name(name)
    check_place(place)
    building = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        building.mkdir()
        _write_files(template, values, module, building)
        load_plugin(building, module, None)
        building.rename(place)
    except OSError as error:
        raise NotAllowed(f"the plugin cannot be written: {error.strerror}", where=str(place)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return name


def check_name(name: str) -> None:
    """Raise a UsageError when *name* cannot be the name of a plugin."""
    fault = name_fault(name)
    if fault:
        raise UsageError(f'"{name}" cannot be the name of a plugin: {fault}')


def check_place(place: Path) -> None:
    """Raise what speaks against a new plugin in the folder *place*."""
    check_name(place.name)
    if place.exists() or place.is_symlink():
        raise Conflict("this exists already", where=str(place), mend="Take another name, or remove it.")


def _names(module: str) -> list[str]:
    """Names of the templates that a person may choose; one that starts with ``_`` only serves as a parent."""
    return sorted(
        file.parent.name for file in (TEMPLATES / module).glob("*/template.ini") if not file.parent.name.startswith("_")
    )


def _load(name: str, module: str) -> Template:
    folder = TEMPLATES / module / name
    config = _SCHEMA.load(layered([folder / "template.ini"], must_exist=True), {})
    header = config.section("template", Header)
    given = config.section("set", FreeSection).values.items()
    values = {
        (section, key): text for (section, _, key), text in ((where.partition("."), text) for where, text in given)
    }
    files = {
        file.relative_to(folder / "files"): file for file in sorted((folder / "files").rglob("*")) if _is_source(file)
    }
    own = Template(name, header, values, files)
    return _inherited(own, _load(header.parent, module)) if header.parent else own


def _is_source(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def _inherited(own: Template, parent: Template) -> Template:
    return replace(own, values={**parent.values, **own.values}, files={**parent.files, **own.files})


def _custom(step: str) -> type[Section]:
    """What the class written ``package.module:Class`` declares for ``[custom]``; anything goes where there is none."""
    if not step:
        return FreeSection
    place, _, name = step.partition(":")
    custom: type[Section] = getattr(importlib.import_module(place), name).Custom
    return custom


def _write_files(template: Template, values: Values, module: Module, folder: Path) -> None:
    from jinja2 import Environment, StrictUndefined

    # Nothing of this is HTML.
    jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    facts = _facts(template, values, module)
    for path, source in template.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(jinja.from_string(source.read_text("utf-8")).render(facts), "utf-8")
    (folder / "config.ini").write_text(_config_ini(template, values, module), "utf-8")


def _config_ini(template: Template, values: Values, module: Module) -> str:
    from mfext.reference import commented_ini

    return commented_ini(sections_of(template, module), values)


def _facts(template: Template, values: Values, module: Module) -> dict[str, Any]:
    """What the files of a template may name."""
    from mfext.reference import markdown

    step_module, _, step_class = template.header.step.partition(":")
    custom = sections_of(template, module)["custom"]
    return {
        "name": values["general", "name"],
        "summary": values["general", "summary"],
        "help": template.header.help,
        "template": template.name,
        "module": module.name,
        "section": template.header.section,
        "step_module": step_module,
        "step_class": step_class,
        "keys": markdown({"custom": custom}, depth=3) if declared(custom) else "",
    }
