"""Template: what a new plugin is made from; list them, and make a plugin, whole or not at all."""

from __future__ import annotations

import importlib
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.configuration.inifile import layered
from mfext.environment import Home, software_of
from mfext.errors import ConfigError, Conflict, InternalError, MetworkError, NotAllowed, UsageError, nearest
from mfext.module import module_names
from mfext.option import option
from mfext.plugin.author.secrets_policy import Values, secrets_of, write_override
from mfext.plugin.general import General, name_fault
from mfext.plugin.manifest import load_plugin, override_files
from mfext.section import FreeSection, Schema, Section, declared

if TYPE_CHECKING:
    from mfext.module import Module

#: Suffix of the files of a template that are rendered; the others are taken as they are.
RENDERED = ".j2"


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
    ask: tuple[str, ...] = option((), help="Keys to ask for, after those of the parent: SECTION.KEY.", separator=",")


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
        others = [other for other in module_names() if name in _names(other)]
        mend = f'{others[0]} has one: "metwork shell {others[0]}".' if others else nearest(name, _names(module))
        raise UsageError(f'{module} has no template "{name}"', mend=mend)
    return _load(name, module)


def sections_of(template: Template, module: Module) -> dict[str, type[Section]]:
    """What the sections of a config.ini made from *template* declare, in their order."""
    name = template.header.section
    kind = module.plugin_schema.kind(name)
    if kind is None:
        raise InternalError(f"plugins of {module.name} have no section [{name}]", where=f"template {template.name}")
    return {"general": General, name: kind, "custom": _custom(template.header.step)}


def default_values(template: Template, name: str) -> dict[tuple[str, str], str]:
    """What the config.ini of a plugin *name* sets when nobody says otherwise."""
    return {("general", "name"): name, ("general", "summary"): template.header.title, **template.values}


@dataclass(frozen=True)
class Made:
    """A new plugin."""

    name: str
    #: The override that holds its secrets; None when it has none.
    secrets: Path | None = None


def create(template: Template, values: Values, module: Module, place: Path, home: Home) -> Made:
    """Make a plugin from *template* in the new folder *place*.

    It is built beside its place and renamed: whatever happens, there is a whole plugin or none. What is secret of its
    values becomes an override in *home*, since the plugin's own files are for others too.

    Args:
        template: what it is made from.
        values: what its config.ini sets, such as ``default_values`` gives; the name is needed.
        module: the module whose plugin it is.
        place: the folder to be made.
        home: where the plugin will be tried.

    Raises:
        UsageError: the name cannot be one of a plugin.
        Conflict: there is something at *place* already, or its override says something else.
        NotAllowed: it has secrets, and the home is another user's.
        ConfigError: with these values it would not be valid.
    """
    name = values["general", "name"]
    check_name(name)
    check_place(place)
    hidden = secrets_of(values, sections_of(template, module))
    override = override_files(name, module.name, home)[0] if hidden else None
    building = place.parent.resolve() / f".{place.name}.{secrets.token_hex(4)}"
    try:
        building.mkdir()
        _write_files(template, {key: text for key, text in values.items() if key not in hidden}, module, building)
        load_plugin(building, module, None)
        if override:
            _keep_secrets(override, hidden, module, home)
        building.rename(place)
    except MetworkError as error:
        # Who asked for the plugin knows nothing of where it is built.
        raise ConfigError(error.message.replace(str(building), str(place))) from error
    except OSError as error:
        raise NotAllowed(f"the plugin cannot be written: {error.strerror}", where=str(place)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Made(name, override)


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
        file.parent.name for file in _folder(module).glob("*/template.ini") if not file.parent.name.startswith("_")
    )


def _folder(module: str) -> Path:
    """Where the templates of *module* lie."""
    return software_of(module) / "plugin_templates" / module


def _load(name: str, module: str) -> Template:
    folder = _folder(module) / name
    config = _SCHEMA.load(layered([folder / "template.ini"], must_exist=True), {})
    header = config.section("template", Header)
    given = config.section("set", FreeSection).values.items()
    values = {
        (section, key): text for (section, _, key), text in ((where.partition("."), text) for where, text in given)
    }
    own = Template(name, header, values, _files(folder / "files"))
    return _inherited(own, _load(header.parent, module)) if header.parent else own


def _files(folder: Path) -> dict[Path, Path]:
    """The source of each file by its path in the plugin."""
    sources = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    paths = {source: source.relative_to(folder) for source in sorted(sources)}
    return {path.with_suffix("") if path.suffix == RENDERED else path: source for source, path in paths.items()}


def _inherited(own: Template, parent: Template) -> Template:
    header = replace(own.header, ask=(*parent.header.ask, *own.header.ask))
    return Template(own.name, header, {**parent.values, **own.values}, {**parent.files, **own.files})


def _custom(step: str) -> type[Section]:
    """What the class written ``package.module:Class`` declares for ``[custom]``; anything goes where there is none."""
    if not step:
        return FreeSection
    place, _, name = step.partition(":")
    custom: type[Section] = getattr(importlib.import_module(place), name).Custom
    return custom


def _write_files(template: Template, values: Values, module: Module, folder: Path) -> None:
    from mfext.configuration.reference import commented_ini

    sections = sections_of(template, module)
    for path, source in template.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text("utf-8")
        if source.suffix == RENDERED:
            text = _rendered(text, _facts(template, values, sections, module))
        target.write_text(text, "utf-8")
    (folder / "config.ini").write_text(commented_ini(sections, values, _secret_note(values, module)), "utf-8")


def _secret_note(values: Values, module: Module) -> str:
    name = values["general", "name"]
    return f"A secret: write it into config/plugins/{name}.ini of the home of {module.name}, never here."


def _keep_secrets(file: Path, hidden: Values, module: Module, home: Home) -> None:
    from mfext.lifecycle.home import make_home

    make_home(module, home)
    write_override(file, hidden)


def _rendered(text: str, facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    # Nothing of this is HTML.
    jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # nosec B701
    return jinja.from_string(text).render(facts)


def _facts(template: Template, values: Values, sections: Mapping[str, type[Section]], module: Module) -> dict[str, Any]:
    """What the rendered files of a template may name."""
    from mfext.configuration.reference import markdown

    step_module, _, step_class = template.header.step.partition(":")
    custom = sections["custom"]
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
