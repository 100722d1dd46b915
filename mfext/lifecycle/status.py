"""Status: how a module does, beside what is configured, for people and for programs."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from mfext.clock import age
from mfext.configuration.exposed_secrets import exposed_secrets
from mfext.environment import Home
from mfext.errors import MetworkError
from mfext.lifecycle.lifecycle import Wanted, wanted
from mfext.module import Module, StatusRow
from mfext.owner import check_owner
from mfext.plugin.installed import Installed
from mfext.plugin.listing import entry
from mfext.supervision.output import last_lines
from mfext.supervision.process import Process
from mfext.supervision.process_state import ProcessState
from mfext.supervision.supervisor import Supervisor
from mfext.table import WIDE_SHOWS_ALL, Column, Paint, duration, is_whole, size, table
from mfext.version import software_build

#: Titles of the lines that ``status`` prints for the processes.
COLUMNS = (
    Column("PROCESS", least=12),
    "STATE",
    Column("PIDS", least=6),
    Column("RESTARTS", leaves=2),
    Column("UPTIME", leaves=1),
    Column("MEMORY", leaves=3),
    "LAST EXIT",
    "REASON",
)
#: So many of the last columns say what the sentences below the table say too.
_SAID_BELOW = 2
#: States of processes, the worst first.
STATES = ("failing", "starting", "drained", "running", "stopped")


@dataclass(frozen=True)
class Status:
    """How a module does."""

    module: str
    version: str
    home: str
    #: running, stopped, or failing: it runs, but not all is as configured.
    state: str
    processes: Sequence[ProcessState] = ()
    plugins: Sequence[Installed] = ()
    #: What is not as configured, one sentence each.
    problems: Sequence[str] = ()
    #: What is as configured now, but was not for a while.
    notes: Sequence[str] = ()
    #: What the module itself tells.
    more: Sequence[StatusRow] = ()
    #: What works and should not stay as it is.
    warnings: Sequence[str] = ()

    @property
    def has_trouble(self) -> bool:
        """Whether somebody has to look at something, though all may run as configured."""
        return bool(self.problems or self.warnings) or any(row.rows for row in self.more if row.is_trouble)


def status(module: Module, home: Home) -> Status:
    """How *module* does in *home*.

    Raises:
        NotAllowed: the home is another user's.
    """
    check_owner(home)
    plan, problems = _planned(module, home)
    supervisor = Supervisor(home)
    found = Status(module.name, software_build(), str(home.path), "stopped")
    if plan:
        configs = [plan.config, *(plugin.config for plugin in plan.accepted.plugins)]
        exposed = [error.message for error in exposed_secrets(configs)]
        found = replace(found, plugins=plan.installed, warnings=exposed)
    if not supervisor.is_running():
        return replace(found, problems=[f"{module.name} is not running", *problems])
    try:
        states = supervisor.states()
        problems += differences(plan.processes if plan else (), states, partial(_last_words, home))
    except MetworkError as error:
        states = []
        problems.append(error.message)
    more = module.status(home, plan.config, plan.accepted.plugins) if plan else ()
    problems += [problem for row in more for problem in row.problems]
    state = "failing" if problems else "running"
    told = notes(states, time.time(), partial(_last_words, home))
    return replace(found, state=state, processes=states, problems=problems, notes=told, more=more)


def differences(
    processes: Sequence[Process], states: Sequence[ProcessState], last_words: Callable[[ProcessState], str]
) -> list[str]:
    """What is not as it should be with the processes that run, one sentence each.

    Args:
        processes: what is configured; none when that is not known.
        states: how those that the supervisor knows do.
        last_words: what a process that fails wrote last.
    """
    problems = [
        f"{state.name} is {state.state}{_since(state)}: {state.reason}{last_words(state)}"
        for state in states
        if not state.is_well
    ]
    expected, known = {one.name for one in processes}, {state.name for state in states}
    if expected:
        problems += [f"{name} is configured, but not put in force yet" for name in sorted(expected - known)]
        problems += [f"{name} runs, but is not configured any more" for name in sorted(known - expected)]
    return problems


def notes(
    states: Sequence[ProcessState], now: float, last_words: Callable[[ProcessState], str] = lambda _state: ""
) -> list[str]:
    """What happened to processes that do well now, and which limits do not hold, one sentence each.

    *last_words*: what a process wrote before it ended.
    """
    unforced = [f"{state.name}: {state.unforced}" for state in states if state.unforced]
    return unforced + [
        f"{state.name} had to be started again {state.restarts} time(s): {state.last_exit}, "
        f"{duration(age(state.last_exit.time, now))} ago{last_words(state)}"
        for state in states
        if state.is_well and state.restarts and state.last_exit
    ]


def as_json(found: Status) -> dict[str, Any]:
    """The status as JSON values (pure)."""
    return {
        "module": found.module,
        "version": found.version,
        "home": found.home,
        "state": found.state,
        "processes": [_process_json(one) for one in found.processes],
        "plugins": [entry(one, plugin_states(found.processes)) for one in found.plugins],
        "problems": list(found.problems),
        "notes": list(found.notes),
        "warnings": list(found.warnings),
        "more": {row.key: list(row.rows) for row in found.more},
    }


def plugin_states(states: Iterable[ProcessState]) -> dict[str, str]:
    """The state of each plugin by its name: that of the one of its processes which does worst (pure)."""
    worst: dict[str, str] = {}
    for state in sorted(states, key=lambda state: STATES.index(state.state)):
        worst.setdefault(state.plugin, state.state)
    return worst


def as_text(
    found: Status, width: int | None = None, paint: Paint = lambda _title, cell: cell, place: str | None = None
) -> str:
    """The status for a person: a line for each process, then what is wrong (pure).

    Args:
        found: the status.
        width: characters that a line may have; None = any number. Where there is one, what is said below of a process
            is left out of its line.
        paint: as for a table.
        place: the home as it is shown; None = as it is.
    """
    parts = [f"{found.module} {found.version} in {place or found.home}: {paint('STATE', found.state)}"]
    if found.processes:
        shown = len(COLUMNS) if width is None else len(COLUMNS) - _SAID_BELOW
        columns, rows = COLUMNS[:shown], [_row(one)[:shown] for one in found.processes]
        parts.append(table(columns, rows, width, paint))
        parts += [] if is_whole(columns, rows, width) else [WIDE_SHOWS_ALL]
    parts += [_list(row.title, row.lines or map(_line, row.rows), width, "  ") for row in found.more if row.rows]
    if found.state != "stopped" and found.problems:
        parts.append(_list("Not as configured", found.problems, width))
    elif found.problems:
        parts.append("\n".join(found.problems))
    if found.notes or found.warnings:
        parts.append(_list("Worth a look", [*found.warnings, *found.notes], width))
    return "\n\n".join(parts)


def _planned(module: Module, home: Home) -> tuple[Wanted | None, list[str]]:
    """What is configured, and what is wrong with the configuration."""
    try:
        plan = wanted(module, home)
    except MetworkError as error:
        return None, error.message.splitlines()
    faults = [f"plugin {name}: {error.message}" for name, error in plan.accepted.refused.items()]
    missing = [error.message for error in module.missing(home, plan.config, plan.accepted.plugins)]
    return plan, faults + missing


def _list(title: str, sentences: Iterable[str], width: int | None, mark: str = "- ") -> str:
    lines = [f"{mark}{sentence}" for sentence in sentences]
    if width is not None:
        wrapped = textwrap.TextWrapper(width, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
        lines = [wrapped.fill(line) for line in lines]
    return "\n".join([f"{title}:", *lines])


def _since(state: ProcessState) -> str:
    return f" for {duration(state.uptime)}" if state.state == "starting" and state.pids else ""


def _last_words(home: Home, state: ProcessState) -> str:
    if state.last_exit is None or not (state.state == "failing" or state.is_well):
        return ""
    lines = last_lines(home, state.name, state.last_exit.pid)
    return f"; its last words: {lines[-1].strip()}" if lines else ""


def _process_json(state: ProcessState) -> dict[str, Any]:
    return {**asdict(state), "last_exit": _exit_json(state)}


def _exit_json(state: ProcessState) -> dict[str, Any] | None:
    end = state.last_exit
    return None if end is None else {**asdict(end), "text": str(end)}


def _row(state: ProcessState) -> tuple[str, ...]:
    pids = " ".join(str(pid) for pid in state.pids)
    alive = bool(state.pids)
    return (
        state.name,
        state.state,
        pids or "-",
        str(state.restarts),
        duration(state.uptime) if alive else "",
        size(state.rss) if alive else "",
        str(state.last_exit) if state.last_exit and not state.last_exit.asked else "",
        state.reason,
    )


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return str(value)
