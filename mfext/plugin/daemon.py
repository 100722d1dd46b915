"""Daemons of a plugin: commands that run for as long as the plugin does, and are none of its module's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfext.option import option
from mfext.plugin.process_options import ProcessOptions, plugin_process
from mfext.plugin.running import fingerprint

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin
    from mfext.supervision.process import Process

_PREFIX = "extra_daemon_"


@dataclass(frozen=True)
class Daemon(ProcessOptions):
    """A command that runs beside the plugin's steps or services, such as a scheduler or the filler of a cache."""

    reports_ready: bool = option(
        False,
        help="The command says itself when it is ready, with mfext.mainloop; otherwise it is taken for ready when "
        "it has lived for a second.",
    )
    stalled_after: float = option(
        600.0,
        unit="s",
        minimum=0,
        help="Time for which the loop of the command may stand still, although it has something to do, before it is "
        "killed and started again, where it waits by mfext.mainloop; 0 = for ever.",
    )


def daemon_names(plugin: Plugin) -> list[str]:
    """The names of the daemons of *plugin*."""
    return [section.removeprefix(_PREFIX) for section in plugin.config.names(f"{_PREFIX}*")]


def daemon_processes(
    plugin: Plugin, environments: Mapping[str, Mapping[str, str]] | None = None, kind: type[Daemon] = Daemon
) -> list[Process]:
    """The daemons of *plugin*.

    Args:
        plugin: whose they are.
        environments: the variables that each gets besides, by its name.
        kind: how its module declares them.

    Raises:
        ConfigError: a command is not right.
    """
    found: list[Process] = []
    names = daemon_names(plugin)
    changes_with = fingerprint(plugin) if names else ""
    for name in names:
        section = f"{_PREFIX}{name}"
        options = plugin.config.section(section, kind)
        process = plugin_process(
            plugin,
            section,
            options,
            f"extra_daemon.{plugin.name}.{name}",
            changes_with,
            environment=(environments or {}).get(name),
            reports_ready=options.reports_ready,
            stalled_after=options.stalled_after,
        )
        found.append(process)
    return found
