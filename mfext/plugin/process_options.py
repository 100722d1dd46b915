"""Process options: the keys of a plugin's processes, declared once for steps, apps and daemons of all modules."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfext.option import option
from mfext.plugin.python_requirements import plugin_environment
from mfext.plugin.running import command_words
from mfext.section import Section
from mfext.supervision.process import Process

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin


@dataclass(frozen=True)
class ProcessLimits(Section):
    """What the processes of a section may use of the machine."""

    rlimit_as: int = option(0, unit="bytes", minimum=0, help="Limit of the address space of a process; 0 = none.")
    rlimit_nofile: int = option(0, minimum=0, help="Limit of open files of a process; 0 = none.")
    rlimit_stack: int = option(0, unit="bytes", minimum=0, help="Limit of the stack of a process; 0 = none.")
    rlimit_fsize: int = option(
        0, unit="bytes", minimum=0, help="Limit of the size of a file that a process writes; 0 = none."
    )
    memory_max: int = option(
        0,
        unit="bytes",
        minimum=0,
        help="Memory of all processes together, and of what they start; what goes over it is killed; 0 = no limit. "
        "This and the next three are in force where systemd has delegated a cgroup; else status says that they are "
        "not, and rlimit_as is what is left.",
    )
    cpu_max: float = option(
        0.0, unit="cores", minimum=0, help="Cores that all processes together may use: 0.5 = half of one; 0 = any."
    )
    cpu_weight: int = option(
        0, minimum=0, maximum=10000, help="Share of a busy machine, beside the 100 of others; 0 = 100."
    )
    tasks_max: int = option(0, minimum=0, help="Processes and threads, all together; 0 = any number.")

    @property
    def rlimits(self) -> Mapping[str, int]:
        """Limits of each process, as :class:`~mfext.supervision.process.Process` has them."""
        return {
            "as": self.rlimit_as,
            "nofile": self.rlimit_nofile,
            "stack": self.rlimit_stack,
            "fsize": self.rlimit_fsize,
        }

    @property
    def cgroup(self) -> Mapping[str, float]:
        """Limits of all processes together, as :class:`~mfext.supervision.process.Process` has them."""
        return {
            "memory_max": self.memory_max,
            "cpu_max": self.cpu_max,
            "cpu_weight": self.cpu_weight,
            "tasks_max": self.tasks_max,
        }


@dataclass(frozen=True)
class _Command(Section):
    """What runs, and how often."""

    cmd: str = option(
        "{PYTHON} main.py",
        help="The command, started in the plugin's folder without a shell; {PYTHON} is MetWork's Python, {plugin_name} "
        "the name of the plugin.",
    )
    numprocesses: int = option(1, minimum=0, help="Number of processes; 0 starts none.")
    autostart: bool = option(True, help="Start with the module.")
    respawn: bool = option(True, help="Start again when it ends.")
    graceful_timeout: float = option(
        30.0, unit="s", minimum=0, help="Time to finish the work in hand when asked to stop."
    )


@dataclass(frozen=True)
class ProcessOptions(ProcessLimits, _Command):
    """A process of a plugin: what runs, how often, within which limits."""


def plugin_process(
    plugin: Plugin,
    section: str,
    options: ProcessOptions,
    name: str,
    changes_with: str,
    *,
    words: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    reports_ready: bool = True,
    stalled_after: float = 0.0,
    numprocesses: int | None = None,
) -> Process:
    """The process *name*, as *section* of *plugin* declares it by *options*.

    Args:
        plugin: whose process it is.
        section: where its command is written.
        options: what it says.
        name: unique in the module.
        changes_with: the fingerprint of *plugin*, which is dear to find out.
        words: what more may stand in the command: values by name.
        environment: variables besides those of the plugin.
        reports_ready: it says itself when it is ready.
        stalled_after: seconds for which its loop may stand still; 0 = for ever.
        numprocesses: the number of copies, where it is not that of *options*.

    Raises:
        ConfigError: the command is not right, or a layer is not on this machine.
    """
    where = f"{plugin.config.origin(section, 'cmd')} [{section}] cmd"
    known = {"PYTHON": sys.executable, "plugin_name": plugin.name, **(words or {})}
    return Process(
        name=name,
        command=command_words(options.cmd, known, where),
        folder=plugin.folder,
        plugin=plugin.name,
        numprocesses=options.numprocesses if numprocesses is None else numprocesses,
        autostart=options.autostart,
        respawn=options.respawn,
        reports_ready=reports_ready,
        graceful_timeout=options.graceful_timeout,
        stalled_after=stalled_after,
        rlimits=options.rlimits,
        cgroup=options.cgroup,
        environment={**plugin_environment(plugin), **(environment or {})},
        fingerprint=changes_with,
    )
