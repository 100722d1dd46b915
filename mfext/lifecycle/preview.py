"""What a command would change of a module, found without changing anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.errors import MetworkError
from mfext.lifecycle.lifecycle import processes_of, wanted
from mfext.lifecycle.prevalidation import verdicts
from mfext.module import Module
from mfext.owner import check_owner
from mfext.plugin.installed import survey
from mfext.plugin.manifest import Plugin
from mfext.supervision.process import Process
from mfext.supervision.process_set import Changes, changes
from mfext.supervision.supervisor import Supervisor


@dataclass(frozen=True)
class Preview:
    """What would change."""

    #: Whether the module runs; else no process would change.
    is_running: bool
    processes: Changes = field(default_factory=Changes)
    #: Of plugins, one phrase each: ``upgrade radar from 1.0-1 to 1.1-1``.
    plugins: Sequence[str] = ()
    #: What waits for what would end, one phrase each.
    waiting: Sequence[str] = ()
    #: What the command would find wrong.
    problems: Sequence[MetworkError] = ()


def preview_apply(module: Module, home: Home, plugins: Collection[str] = ()) -> Preview:
    """What ``apply`` would do in *home*; faults of *plugins* are raised.

    Raises:
        MetworkError: it would change nothing, for this reason.
    """
    check_owner(home)
    supervisor = Supervisor(home)
    config = module_config(module, home)
    known = survey(home, module, config)
    running = supervisor.processes()
    plan = wanted(module, home, known=known, found=verdicts(home, module, config, known) if running else None)
    for name, error in plan.accepted.refused.items():
        if name in plugins:
            raise error
    problems = (*plan.accepted.refused.values(), *module.missing(home, plan.config, plan.accepted.plugins))
    found = changes(running, plan.processes) if running else Changes()
    ends = sorted({running[name].plugin for name in found.removed} - {one.plugin for one in plan.processes} - {""})
    waiting = [line for name in ends for line in module.waiting(home, plan.config, name)]
    return Preview(bool(running), found, waiting=waiting, problems=problems)


def preview_plugins(module: Module, home: Home, new: Sequence[Plugin], gone: Collection[str]) -> Preview:
    """What becomes of the processes in *home* when the plugins *new* come, and those called *gone* go."""
    running = Supervisor(home).processes()
    plan = wanted(module, home)
    names = {*gone, *(plugin.name for plugin in new)}
    stay = [plugin for plugin in plan.accepted.plugins if plugin.name not in names]
    declared = processes_of(module, home, plan.config, [*stay, *new])
    waiting = [line for name in sorted(names) for line in module.waiting(home, plan.config, name)]
    if not running:
        return Preview(is_running=False, waiting=waiting)
    # Its own processes may be others with other plugins.
    changed = [one for one in declared if not one.plugin or one.plugin in names]
    left = [one for one in plan.processes if one.plugin and one.plugin not in names]
    return Preview(True, changes(running, [*changed, *left]), waiting=waiting)


def lines(preview: Preview, module: str) -> Iterator[str]:
    """What would change, for a person (pure)."""
    found = preview.processes
    listed: list[tuple[str, Sequence[Process | str]]] = [
        ("stop", found.removed),
        ("start", found.added),
        ("restart", found.replaced),
        ("change without a restart", found.adjusted),
    ]
    acts = [*preview.plugins]
    for act, processes in listed:
        acts += [f"{act} {one if isinstance(one, str) else one.name}" for one in processes]
    yield f"{module} would:" if acts else f"{module}: nothing would change"
    yield from (f"  {act}" for act in acts)
    if not preview.is_running:
        yield f"{module} is not running: no process would change"
    yield from preview.waiting
