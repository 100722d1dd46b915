"""The configuration of a module: from which files it comes, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.configuration.inifile import layered
from mfext.configuration.module_sections import SECTIONS
from mfext.configuration.plugin_policy import Policy
from mfext.environment import Home, administrators_folder, child_variables
from mfext.section import Config, Schema, is_pattern

if TYPE_CHECKING:
    from mfext.module import Module


def module_config(module: Module, home: Home) -> Config:
    """The configuration of *module* in force in *home*: its own file, the machine's, the environment; last wins.

    Raises:
        ConfigError: it must be mended (``Several`` for more than one fault).
    """
    variables = module_variables(home)
    return module_schema(module).load(layered(config_files(home), variables, home.module.upper()), variables)


def module_schema(module: Module) -> Schema:
    """All sections that the ``config.ini`` of *module* may have: its own, and those that every module has."""
    own = module.schema
    return Schema({**own.sections, **SECTIONS, "plugins": Policy}, own.required, own.fixed)


def config_files(home: Home) -> tuple[Path, Path]:
    """Where the configuration of the module is written: in the home, and for the whole machine."""
    return home.config / "config.ini", administrators_folder() / home.module / "config.ini"


def module_variables(home: Home) -> Mapping[str, str]:
    """What ``{{NAME}}`` may name in the configuration of the module, whoever reads it."""
    return {**child_variables(home), "MFMODULE_RUNTIME_HOME": str(home.path)}


def default_config(module: Module) -> str:
    """A ``config.ini`` of *module* that sets nothing and explains everything; what may be there many times is not."""
    from mfext.configuration.reference import commented_ini

    sections = module_schema(module).sections
    return commented_ini({name: kind for name, kind in sections.items() if not is_pattern(name)})
