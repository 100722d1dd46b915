"""What mfdata runs: the observer, and what its plugins declare."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mfdata.config import CommandConfig, ExtraDaemonConfig, InternalPlugins, StepConfig
from mfdata.external import AUTO
from mfext.environment import Home
from mfext.plugin.requirements import plugin_environment
from mfext.plugin.running import command_words, fingerprint
from mfext.process import Process
from mfext.section import Config

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin


def processes(home: Home, config: Config, plugins: Sequence[Plugin]) -> list[Process]:
    """Everything that must run: the observer, and the steps and daemons of *plugins*."""
    observer = Process(
        name="observer",
        command=(sys.executable, "-m", "mfdata.observer"),
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
    for name in (*plugin.config.names("step_*"), *plugin.config.names("extra_daemon_*")):
        kind: type[CommandConfig] = StepConfig if name.startswith("step_") else ExtraDaemonConfig
        settings = plugin.config.section(name, kind)
        prefix = "step" if kind is StepConfig else "extra_daemon"
        own = name.removeprefix(f"{prefix}_")
        yield Process(
            name=f"{prefix}.{plugin.name}.{own}",
            command=command_words(
                settings.cmd,
                {"PYTHON": sys.executable, "plugin_name": plugin.name, "step_name": own},
                f"{plugin.config.origin(name, 'cmd')} [{name}] cmd",
            ),
            folder=plugin.folder,
            plugin=plugin.name,
            numprocesses=_numprocesses(plugin, settings, config),
            autostart=settings.autostart,
            respawn=settings.respawn,
            reports_ready=not isinstance(settings, ExtraDaemonConfig) or settings.reports_ready,
            graceful_timeout=settings.graceful_timeout,
            # The guardian looks after steps: it knows how long one file may take.
            stalled_after=settings.stalled_after if isinstance(settings, ExtraDaemonConfig) else 0.0,
            rlimits={
                "as": settings.rlimit_as,
                "nofile": settings.rlimit_nofile,
                "stack": settings.rlimit_stack,
                "fsize": settings.rlimit_fsize,
            },
            cgroup={
                "memory_max": settings.memory_max,
                "cpu_max": settings.cpu_max,
                "cpu_weight": settings.cpu_weight,
                "tasks_max": settings.tasks_max,
            },
            environment=plugin_environment(plugin),
            fingerprint=changes_with,
        )


def _numprocesses(plugin: Plugin, settings: CommandConfig, config: Config) -> int:
    if plugin.builtin and plugin.name == "switch":
        return config.section("internal_plugins", InternalPlugins).switch_numprocesses
    return settings.numprocesses


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
