"""Daemons of a plugin: commands that run for as long as the plugin does, and are none of its module's business."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfext.option import option
from mfext.plugin.requirements import plugin_environment
from mfext.plugin.running import command_words, fingerprint
from mfext.process import Process
from mfext.section import Section

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

_PREFIX = "extra_daemon_"


@dataclass(frozen=True)
class Daemon(Section):
    """A command that runs beside the plugin's services, such as a scheduler or the filler of a cache."""

    cmd: str = option(
        help="The command; no shell is asked. {PYTHON} is MetWork's Python, {plugin_name} the name of the plugin.",
        example="{PYTHON} refresh.py",
    )
    numprocesses: int = option(1, minimum=0, help="Number of processes.")
    autostart: bool = option(True, help="Start with the module.")
    respawn: bool = option(True, help="Start again when it ends.")
    graceful_timeout: float = option(30.0, unit="s", minimum=0, help="Time to end when asked to by SIGTERM.")
    stalled_after: float = option(
        600.0,
        unit="s",
        minimum=0,
        help="Time for which the loop of the command may stand still, although it has something to do, before it is "
        "killed and started again, where it waits by mfext.mainloop; 0 = for ever.",
    )
    reports_ready: bool = option(
        False,
        help="The command says itself when it is ready, with mfext.mainloop; otherwise it is taken for ready when "
        "it has lived for a second.",
    )
    rlimit_as: int = option(0, unit="bytes", minimum=0, help="Limit of the address space; 0 = none.")
    rlimit_nofile: int = option(0, minimum=0, help="Limit of open files; 0 = none.")


def daemon_processes(plugin: Plugin, environments: Mapping[str, Mapping[str, str]]) -> list[Process]:
    """The daemons of *plugin*; *environments* are the variables that each gets besides, by its name.

    Raises:
        ConfigError: a command is not right.
    """
    found = []
    for section in plugin.config.names(f"{_PREFIX}*"):
        one, name = plugin.config.section(section, Daemon), section.removeprefix(_PREFIX)
        where = f"{plugin.config.origin(section, 'cmd')} [{section}] cmd"
        process = Process(
            name=f"extra_daemon.{plugin.name}.{name}",
            command=command_words(one.cmd, {"PYTHON": sys.executable, "plugin_name": plugin.name}, where),
            folder=plugin.folder,
            plugin=plugin.name,
            numprocesses=one.numprocesses,
            autostart=one.autostart,
            respawn=one.respawn,
            reports_ready=one.reports_ready,
            graceful_timeout=one.graceful_timeout,
            stalled_after=one.stalled_after,
            rlimits={"as": one.rlimit_as, "nofile": one.rlimit_nofile},
            environment={**plugin_environment(plugin), **environments.get(name, {})},
            fingerprint=fingerprint(plugin),
        )
        found.append(process)
    return found
