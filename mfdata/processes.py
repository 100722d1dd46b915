"""What mfdata runs: the observer, and what its plugins declare."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mfdata.config import DaemonConfig, InternalPlugins, StepConfig
from mfdata.intake.directories import AUTO
from mfext.environment import Home
from mfext.plugin.daemon import daemon_processes
from mfext.plugin.process_options import plugin_process
from mfext.plugin.running import fingerprint
from mfext.section import Config
from mfext.supervision.process import Process

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin


def processes(home: Home, config: Config, plugins: Sequence[Plugin]) -> list[Process]:
    """Everything that must run: the observer, and the steps and daemons of *plugins*."""
    observer = Process(
        name="observer",
        command=(sys.executable, "-m", "mfdata.intake.observer"),
        folder=home.path,
        fingerprint=_observed(config, plugins),
    )
    return [observer, *(process for plugin in plugins for process in processes_of(plugin, config))]


def processes_of(plugin: Plugin, config: Config) -> Iterator[Process]:
    """What runs of *plugin*.

    Raises:
        ConfigError: a command is empty, or a layer is not on this machine.
    """
    changes_with = fingerprint(plugin)
    for section in plugin.config.names("step_*"):
        name = section.removeprefix("step_")
        yield plugin_process(
            plugin,
            section,
            plugin.config.section(section, StepConfig),
            f"step.{plugin.name}.{name}",
            changes_with,
            words={"step_name": name},
            numprocesses=_switches(plugin, config),
        )
    yield from daemon_processes(plugin, kind=DaemonConfig)


def _switches(plugin: Plugin, config: Config) -> int | None:
    """The number of processes of the built-in switch, which the module's configuration says; None of any other."""
    if plugin.builtin and plugin.name == "switch":
        return config.section("internal_plugins", InternalPlugins).switch_numprocesses
    return None


def _observed(config: Config, plugins: Sequence[Plugin]) -> str:
    """Changes when what the observer watches changes: a step that listens to its own queue only changes nothing."""
    steps = [
        (plugin.name, name, step.listened_directories, step.priority)
        for plugin in plugins
        for name in plugin.config.names("step_*")
        for step in [plugin.config.section(name, StepConfig)]
        if step.listened_directories.strip() != AUTO
    ]
    return hashlib.sha256(repr((steps, config.digest())).encode()).hexdigest()[:16]
