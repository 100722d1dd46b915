"""Site: what the commands need to know of a home: configuration, plugins, steps, incoming directories."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mfdata.config import Incoming
from mfdata.config import Trace as TraceConfig
from mfdata.storage.places import Places, Target
from mfdata.storage.trace import Trace
from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.errors import UsageError, nearest
from mfext.module import load_module
from mfext.plugin.installed import survey

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin
    from mfext.section import Config

#: The process name under which commands write into the trace.
PROCESS = "command"


class Site:
    """One home of mfdata, each part read when it is asked for."""

    def __init__(self, home: Home) -> None:
        self.home = home

    @cached_property
    def config(self) -> Config:
        """The configuration of the module."""
        return module_config(load_module("mfdata"), self.home)

    @property
    def settings(self) -> Incoming:
        """Where files come in."""
        return self.config.section("incoming", Incoming)

    @cached_property
    def plugins(self) -> list[Plugin]:
        """The installed plugins that are in order; of the others it is said on stderr that they are left out."""
        found = survey(self.home, load_module("mfdata"), self.config)
        for one in found:
            if one.error:
                sys.stderr.write(f"left out: {one.error.message}\n")
        return [one.plugin for one in found if one.plugin]

    @cached_property
    def steps(self) -> list[Target]:
        """Every step of the installed plugins."""
        return [Target(plugin.name, name[5:]) for plugin in self.plugins for name in plugin.config.names("step_*")]

    @cached_property
    def trace(self) -> Trace:
        """Where commands write what they do with files."""
        return Trace(self.home, PROCESS, settings=self.config.section("trace", TraceConfig))

    def step(self, name: str) -> Target:
        """The step that is written ``plugin/step``.

        Raises:
            UsageError: there is none.
        """
        target = Target.of(name)
        if target not in self.steps:
            raise UsageError(f'there is no step "{name}"', mend=nearest(name, map(str, self.steps)))
        return target

    def incoming(self, name: str = "") -> Path:
        """The incoming directory *name* of the configuration, by default the first one.

        Raises:
            UsageError: there is none.
        """
        directories = self.settings.directories
        if name and name not in directories:
            raise UsageError(f'"{name}" is not an incoming directory', mend=nearest(name, directories))
        if not directories:
            raise UsageError("there is no incoming directory", expected="--to PLUGIN/STEP")
        return Places(self.home).incoming / (name or directories[0])
