"""Plugin: one folder with its configuration, read through all layers and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.configuration.inifile import RawConfig, layered, override
from mfext.environment import Home, administrators_folder, child_variables, variables
from mfext.errors import ConfigError, MetworkError, PluginError, raise_all
from mfext.module import load_module, module_names
from mfext.plugin.environments import environments_folder
from mfext.plugin.general import LONGEST_NAME, General, name_fault
from mfext.plugin.marker import Marker, read_marker
from mfext.section import Config, FreeSection, Schema, variable_name
from mfext.version import software_version

if TYPE_CHECKING:
    from mfext.module import Module


@dataclass(frozen=True)
class Plugin:
    """A plugin whose configuration is valid."""

    name: str
    #: Lower-case name of its module.
    module: str
    #: Where its files are: the developer's folder for a dev-link.
    folder: Path
    #: Its own version, or its module's.
    version: str
    release: str
    #: A link to a folder that a developer works in.
    dev_link: bool
    #: Brought by the module itself.
    builtin: bool
    general: General
    config: Config
    #: What an administrator overrides is in its configuration.
    overridden: bool = True
    #: Where the home keeps the packages that it requires while it is developed; None for a release.
    environments: Path | None = None

    @property
    def unused(self) -> list[ConfigError]:
        """Overrides of keys that a release does not know: they may be left from the version before."""
        return self.config.unused


def load_plugin(
    folder: Path,
    module: Module,
    home: Home | None,
    *,
    dev_link: bool = False,
    builtin: bool = False,
    overridden: bool = True,
) -> Plugin:
    """The plugin in *folder* with the configuration in force in *home* (None: its own ``config.ini`` alone).

    Args:
        folder: where it is.
        module: whose plugin it is.
        home: where it runs or would run.
        dev_link: it is a developer's.
        builtin: it comes with the module.
        overridden: with what administrators override; otherwise its own ``config.ini`` is read as in that home.

    Raises:
        PluginError: this is not a plugin, or it declares nothing that the module can run.
        ConfigError: its configuration is wrong; or Several of them.
    """
    folder = folder.resolve()
    file = _config_file(folder)
    marker = _released_as(folder, home) if not dev_link and not builtin else None
    raw = _in_force(file, module, home if overridden else None)
    raw.lenient = marker is not None
    other = _other_module(raw, module)
    if other:
        raise PluginError(
            f"this is a plugin of {other}",
            where=str(file),
            expected=f"one of {module.name}",
            mend=f'Work on it in "metwork shell {other}", or with MFMODULE={other.upper()}.',
        )
    config = plugin_schema(module).load(raw, plugin_variables(folder, home))
    general = config.section("general", General)
    raise_all(_faults(config, general, module, str(file)))
    return Plugin(
        name=general.name,
        module=module.name,
        folder=folder,
        version=marker.version if marker else general.version or software_version(),
        release=marker.release if marker else general.release,
        dev_link=dev_link,
        builtin=builtin,
        general=general,
        config=config,
        overridden=overridden,
        environments=environments_folder(home, general.name) if home and not builtin and not marker else None,
    )


def plugin_schema(module: Module) -> Schema:
    """All sections that a plugin of *module* may have."""
    own = module.plugin_schema
    return Schema(
        {"general": General, **own.sections, "custom": FreeSection},
        required=("general", *own.required),
        # A slip in an override must not make a new step of it.
        fixed=(*own.fixed, *running_sections(own)),
    )


def _other_module(raw: RawConfig, module: Module) -> str:
    """The module that knows more sections of *raw* than *module*: the plugin is one of it; '' = there is none."""
    sections = [name for name, section in raw.items() if not section.overrides]
    known = _count_known(sections, module)
    if known == len(sections):
        return ""
    others = {name: _count_known(sections, load_module(name)) for name in module_names() if name != module.name}
    best = max(others, key=lambda name: others[name], default="")
    return best if others.get(best, 0) > known else ""


def _count_known(sections: Iterable[str], module: Module) -> int:
    schema = plugin_schema(module)
    return sum(1 for name in sections if schema.kind(name))


def override_files(name: str, module: str, home: Home) -> tuple[Path, Path]:
    """Where administrators override the configuration of the plugin *name*: in the home, and for the whole machine."""
    return (
        home.config / "plugins" / f"{name}.ini",
        administrators_folder() / module / "plugins" / f"{name}.ini",
    )


def plugin_variables(folder: Path, home: Home | None) -> Mapping[str, str]:
    """What ``{{NAME}}`` may name in the configuration of the plugin in *folder*, whoever reads it."""
    given = {"PLUGIN_FOLDER": str(folder)}
    if home is None:
        return {**variables(), **given}
    return {**child_variables(home), **given, "MFMODULE_RUNTIME_HOME": str(home.path)}


def _released_as(folder: Path, home: Home | None) -> Marker | None:
    """The note of an installed release; a developer's copy of such a folder is none."""
    return read_marker(folder) if home and folder.is_relative_to(home.plugins.resolve()) else None


def _config_file(folder: Path) -> Path:
    file = folder / "config.ini"
    if file.is_file():
        return file
    if not folder.exists():
        raise PluginError("there is no such folder", where=str(folder))
    if not folder.is_dir():
        raise PluginError("this is not a folder", where=str(folder), expected="the folder of a plugin")
    raise PluginError(
        "this is not a plugin: it has no config.ini",
        where=str(folder),
        mend='Make a new plugin with "bootstrap_plugin.py create NAME".',
    )


def _in_force(file: Path, module: Module, home: Home | None) -> RawConfig:
    """All layers of the configuration whose first is *file*; that one alone when it does not say whose it is."""
    found = layered([file])
    general = found.get("general")
    name = general.values.get("name") if general else None
    if home is not None and name is not None and not name_fault(name.text):
        prefix = f"{module.name.upper()}_PLUGIN_{variable_name(name.text)}"
        override(found, override_files(name.text, module.name, home), variables(), prefix)
    return found


def _faults(config: Config, general: General, module: Module, file: str) -> list[MetworkError]:
    faults: list[MetworkError] = []
    fault = name_fault(general.name)
    if fault:
        where = f"{config.origin('general', 'name')} [general] name"
        faults.append(ConfigError(f'"{general.name}" cannot be the name of a plugin: {fault}', where=where))
    patterns = running_sections(module.plugin_schema)
    named = [(section, pattern) for pattern in patterns for section in config.names(pattern)]
    faults += [_section_error(section, file) for section, pattern in named if not _is_clean(section, pattern)]
    if patterns and not named:
        faults.append(_idle_error(patterns, file))
    return faults


def running_sections(schema: Schema) -> list[str]:
    """The patterns of *schema* whose sections name something that runs, such as ``step_*``."""
    return [pattern for pattern in schema.sections if pattern.endswith("_*")]


def _is_clean(section: str, pattern: str) -> bool:
    """Whether what follows the ``step_`` of *section* can be a part of file names and process names."""
    name = section.removeprefix(pattern.removesuffix("*"))
    return len(name) <= LONGEST_NAME and re.fullmatch(r"[A-Za-z0-9_]+", name) is not None


def _section_error(section: str, file: str) -> MetworkError:
    return ConfigError(
        f'"{section}" cannot be the name of a section',
        where=file,
        expected=f"only letters, digits and _ in it, {LONGEST_NAME} at most",
    )


def _idle_error(patterns: Iterable[str], file: str) -> MetworkError:
    wanted = " or ".join(f"[{pattern.replace('*', 'NAME')}]" for pattern in patterns)
    return PluginError("the plugin has nothing that runs", where=file, expected=f"a section {wanted}")
