"""The life of a module: made, started, changed while it runs, stopped. One command at a time changes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from mfext.configuration.module_config import module_config
from mfext.configuration.module_sections import Supervision
from mfext.environment import Home
from mfext.errors import MetworkError, ServiceUnavailable, raise_all
from mfext.fs.lock import exclusive
from mfext.lifecycle.home import make_folder, make_home
from mfext.lifecycle.last_good import Accepted, accept, in_force, remember, remembered, remembered_processes
from mfext.lifecycle.prevalidation import Verdicts, forget, judge, judged
from mfext.metrics.config import metrics_processes
from mfext.module import Module
from mfext.notify import notify_ready
from mfext.owner import check_owner
from mfext.plugin.installed import Installed, survey
from mfext.plugin.manifest import Plugin
from mfext.section import Config
from mfext.supervision.process import Process
from mfext.supervision.supervisor import Supervisor

#: Seconds that each command waits for another one. Changes come one after the other while a developer saves files.
TURNS = {"start": 10.0, "stop": 10.0, "apply": 60.0}


@dataclass(frozen=True)
class Wanted:
    """What is to run, by the configuration as it is on disk."""

    config: Config
    installed: Sequence[Installed]
    accepted: Accepted
    processes: Sequence[Process]


@dataclass(frozen=True)
class Result:
    """What came of a command on a module."""

    #: It did something; otherwise all was already as asked for.
    changed: bool
    #: What is not as it should be, although the command did its work.
    problems: tuple[MetworkError, ...] = ()


def wanted(
    module: Module,
    home: Home,
    *,
    known: Sequence[Installed] = (),
    changed: Collection[str] = (),
    found: Verdicts | None = None,
) -> Wanted:
    """What is to run in *home*. A faulty plugin is left out, or goes on as it was accepted last.

    *known* plugins but those that were *changed* since are not read once more. What is *found* of their code holds;
    None = what was found last.

    Raises:
        MetworkError: the configuration of the module itself is faulty.
    """
    config = module_config(module, home)
    installed = judged(home, survey(home, module, config, known=known, changed=changed), found)
    accepted = accept(installed, partial(module.check, home, config), partial(remembered, home))
    processes = processes_of(module, home, config, accepted.plugins)
    return Wanted(config, installed, accepted, in_force(processes, accepted, partial(remembered_processes, home)))


def processes_of(module: Module, home: Home, config: Config, plugins: Sequence[Plugin]) -> list[Process]:
    """The processes of *plugins* and of the module itself, those with the time for which they may stand still."""
    declared = [*metrics_processes(home, config), *module.processes(home, config, plugins)]
    allowed = config.section("supervisor", Supervision).stalled_after
    return [one if one.plugin else replace(one, stalled_after=allowed) for one in declared]


def init(module: Module, home: Home) -> bool:
    """Make what is missing of *home*, with all folders that are configured; True when it is new."""
    is_new = make_home(module, home)
    for relative in module.folders(module_config(module, home)):
        make_folder(home.path / relative)
    return is_new


#: What is done before a module is started; what it gives is not as it should be, and hinders no start.
Prepare = Callable[[], Sequence[MetworkError]]


def start(module: Module, home: Home, *, timeout: float | None = None, prepare: Prepare = tuple) -> Result:
    """Run everything that is configured; it returns when all is ready or has turned out not to become so.

    Args:
        module: whose home it is.
        home: its home, made when it is not there.
        timeout: seconds to wait for what is not ready, by default as configured.
        prepare: done first, when it does not run yet; other commands may change the module meanwhile.

    Raises:
        MetworkError: nothing was started.
    """
    init(module, home)
    if Supervisor(home).is_running():
        return Result(changed=False)
    unprepared = prepare()
    with _alone(home, "start"):
        if Supervisor(home).is_running():
            return Result(changed=False)
        forget(home)
        plan = wanted(module, home)
        raise_all([*module.missing(home, plan.config, plan.accepted.plugins)])
        supervisor = Supervisor(home, plan.config)
        problems = _published(module, home, plan)
        # Processes read at their start what is in force.
        remember(home, plan.accepted.plugins, plan.processes)
        supervisor.start(plan.processes)
    unready = _unready(supervisor, None, timeout)
    # One faulty plugin is no reason to have all others ended.
    notify_ready(supervisor.pid())
    return Result(True, (*unprepared, *problems, *unready))


def stop(home: Home, *, timeout: float | None = None) -> Result:
    """Let every process in *home* finish what it does, then end it; after *timeout* seconds it is killed."""
    check_owner(home)
    if not home.run.is_dir():
        return Result(changed=False)
    with _alone(home, "stop"):
        return Result(Supervisor(home).stop(timeout))


def restart(module: Module, home: Home, *, timeout: float | None = None, prepare: Prepare = tuple) -> Result:
    """Stop and start; what would hinder the start is found before anything is stopped."""
    init(module, home)
    plan = wanted(module, home)
    raise_all([*module.missing(home, plan.config, plan.accepted.plugins)])
    stop(home)
    return start(module, home, timeout=timeout, prepare=prepare)


def apply(
    module: Module,
    home: Home,
    *,
    plugins: Collection[str] = (),
    change: Callable[[], None] | None = None,
    timeout: float | None = None,
) -> Result:
    """Put in force what the configuration and the plugins of *home* say now; only what differs is touched.

    Args:
        module: whose home it is.
        home: its home; where it does not run, all is checked and nothing more.
        plugins: those that were changed: their faults are raised, and their processes are waited for.
        change: changes the files of *plugins* first, once their processes have ended: none sees files of two versions;
            or while they run, for a module whose processes look at nothing but their own working folder.
        timeout: seconds to wait for what is not ready, by default as configured.

    Raises:
        MetworkError: nothing was changed but what *change* did, and the processes that ended for it.
    """
    init(module, home)
    with _alone(home, "apply"):
        known: Sequence[Installed] = ()
        if change:
            if not module.replaces_while_running:
                known = _end_processes(module, home, plugins)
            change()
        elif Supervisor(home).is_running():
            config = module_config(module, home)
            known = survey(home, module, config)
            judge(home, module, config, known)
        plan = wanted(module, home, known=known, changed=plugins if change else ())
        raise_all([error for name, error in plan.accepted.refused.items() if name in plugins])
        supervisor = Supervisor(home, plan.config)
        if not supervisor.is_running():
            return Result(False, tuple(plan.accepted.refused.values()))
        problems = _published(module, home, plan)
        remember(home, plan.accepted.plugins, plan.processes)
        changed = supervisor.apply(plan.processes)
    touched = [one.name for one in plan.processes if one.name in changed or (one.plugin and one.plugin in plugins)]
    return Result(True, (*problems, *_unready(supervisor, touched, timeout)))


def _end_processes(module: Module, home: Home, plugins: Collection[str]) -> Sequence[Installed]:
    """Let the processes of *plugins* finish what they do, and end them; files that come wait. What is installed."""
    plan = wanted(module, home)
    supervisor = Supervisor(home, plan.config)
    if supervisor.is_running() and any(state.plugin in plugins for state in supervisor.states()):
        supervisor.apply([one for one in plan.processes if one.plugin not in plugins])
    return plan.installed


def _published(module: Module, home: Home, plan: Wanted) -> list[MetworkError]:
    """Publish, and tell what is not as it should be.

    It comes before processes are touched: those that start find what is in force, and those that end get no more.
    """
    problems = [*plan.accepted.refused.values(), *module.missing(home, plan.config, plan.accepted.plugins)]
    try:
        module.publish(home, plan.config, plan.accepted.plugins)
    except ServiceUnavailable as error:
        problems.append(error)
    return problems


def _unready(supervisor: Supervisor, names: Collection[str] | None, timeout: float | None) -> list[MetworkError]:
    """Wait for the processes *names*, all of them if None, outside the lock: others may go on."""
    try:
        supervisor.wait_ready(names, timeout)
    except MetworkError as error:
        return [error]
    return []


def _alone(home: Home, act: str) -> AbstractContextManager[None]:
    return exclusive(home.run / "apply.lock", home.module, act, timeout=TURNS[act])
