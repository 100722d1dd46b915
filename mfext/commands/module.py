"""The commands of a module: its life-cycle, which is the same for all, and its own."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mfext.commands.busy import Busy
from mfext.commands.logs import logs
from mfext.commands.output import (
    HELP,
    JSON,
    Form,
    LazyGroup,
    json_text,
    paint_states,
    print_json,
    report,
    shown_path,
    shows_form,
)
from mfext.environment import Home, home_of
from mfext.module import Module, load_module
from mfext.owner import check_owner, is_made

if TYPE_CHECKING:
    from mfext.lifecycle.lifecycle import Prepare, Result
    from mfext.lifecycle.status import Status

TIMEOUT = click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait so long at most.")

STRICT = click.option("--strict", is_flag=True, help="The exit status is 1 with a warning, too.")


@dataclass(frozen=True)
class Target:
    """What the commands of a module act on."""

    module: Module
    home: Home

    def check_caller(self, arguments: Sequence[str]) -> None:
        """Refuse a command with *arguments* of a user to whom the home does not belong, but for a help text.

        Files that another user makes in the home are ones that the module cannot touch.
        """
        if not {*HELP, "--version"} & {*arguments} and is_made(self.home):
            check_owner(self.home)


class ModuleGroup(LazyGroup):
    """``metwork MODULE``: the module's own commands are asked for only when none of the life-cycle is meant."""

    def __init__(self, name: str) -> None:
        self.target = Target(load_module(name), home_of(name))
        super().__init__(name, dict, help=self.target.module.summary)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*LIFE_CYCLE, *(command.name or "" for command in self.target.module.commands())]

    def find_command(self, ctx: click.Context, name: str) -> click.Command | None:
        ctx.obj = self.target
        own = LIFE_CYCLE.get(name)
        return own or next((one for one in self.target.module.commands() if one.name == name), None)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            self.target.check_caller(args)
        return super().parse_args(ctx, args)


def _provision(target: Target) -> Prepare:
    """Installs what an administrator provides."""
    from mfext.plugin.install.provision import provision

    return partial(provision, target.module, target.home)


@click.command()
@JSON
@TIMEOUT
@click.pass_obj
def start(target: Target, timeout: float | None, *, as_json: bool) -> int:
    """Start the module; done when all of it is ready."""
    from mfext.lifecycle import lifecycle

    name = target.module.name
    with Busy(f"{name} starts"):
        result = lifecycle.start(target.module, target.home, timeout=timeout, prepare=_provision(target))
    if as_json:
        print_json(_facts(target, result))
    elif not result.changed:
        click.echo(f"{name} is already running")
    elif result.problems:
        click.echo(f"{name} is started, but not all of it runs", err=True)
    else:
        click.echo(f"{name} is started")
    return report(result.problems)


@click.command()
@JSON
@TIMEOUT
@click.pass_obj
def stop(target: Target, timeout: float | None, *, as_json: bool) -> None:
    """Stop the module.

    Its processes finish what they do, and are killed if that takes longer than they may take.
    """
    from mfext.lifecycle import lifecycle

    with Busy(f"{target.module.name} finishes what it does"):
        result = lifecycle.stop(target.home, timeout=timeout)
    if as_json:
        print_json(_facts(target, result))
    else:
        click.echo(f"{target.module.name} is stopped" if result.changed else f"{target.module.name} is not running")


@click.command()
@JSON
@TIMEOUT
@click.pass_obj
def restart(target: Target, timeout: float | None, *, as_json: bool) -> int:
    """Stop the module, then start it."""
    from mfext.lifecycle import lifecycle

    with Busy(f"{target.module.name} starts anew"):
        result = lifecycle.restart(target.module, target.home, timeout=timeout, prepare=_provision(target))
    if as_json:
        print_json(_facts(target, result))
    elif not result.problems:
        click.echo(f"{target.module.name} is started anew")
    return report(result.problems)


def _facts(target: Target, result: Result) -> dict[str, Any]:
    return {
        "module": target.module.name,
        "changed": result.changed,
        "problems": [problem.message for problem in result.problems],
    }


@click.command()
@click.option("--strict", is_flag=True, help="The exit status is 1, too, when somebody has to look at something.")
@click.option("--watch", "is_watched", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: the time between two looks.",
)
@shows_form
@click.pass_obj
def status(target: Target, form: Form, interval: float, *, strict: bool, is_watched: bool) -> int:
    """Show how the module does.

    The exit status is 0 when everything runs as it is configured, else 1. With --strict it is 1 as well when files
    were put aside, workers died, or whatever else is told that wants a person.
    """
    from mfext.lifecycle.status import status as status_of

    if is_watched:
        from mfext.commands.watching import watch

        return watch(lambda: _watched_status(target, form), interval, in_place=not form.is_json)
    found = status_of(target.module, target.home)
    click.echo(_status_text(found, form))
    return 1 if found.problems or (strict and found.has_trouble) else 0


def _status_text(found: Status, form: Form) -> str:
    from mfext.lifecycle.status import as_json, as_text

    if form.is_json:
        return json_text(as_json(found))
    return as_text(found, form.width, paint_states, shown_path(found.home))


def _watched_status(target: Target, form: Form) -> str:
    """The status with the time at which it was so; as JSON, in one line."""
    from mfext.lifecycle.status import as_json
    from mfext.lifecycle.status import status as status_of

    found = status_of(target.module, target.home)
    if form.is_json:
        return json.dumps(as_json(found), default=str)
    return f"{time.strftime('%H:%M:%S')}  {_status_text(found, form)}\n"


@click.command()
@JSON
@click.pass_obj
def init(target: Target, *, as_json: bool) -> None:
    """Make the home of the module without starting it.

    What is there is left as it is.
    """
    from mfext.lifecycle import lifecycle

    is_new = lifecycle.init(target.module, target.home)
    if as_json:
        print_json({"module": target.module.name, "changed": is_new, "home": str(target.home.path)})
    else:
        click.echo(f"{target.home.path} is made" if is_new else f"{target.home.path} is there already")


@click.command()
@STRICT
@JSON
@click.pass_obj
def doctor(target: Target, as_json: bool, strict: bool) -> int:
    """Say what is wrong with machine and home, and what mends it.

    Nothing is changed.

    The exit status is 1 when there is a fault, with --strict also when there is a warning.
    """
    return show_findings(target.module, target.home, as_json=as_json, strict=strict)


def wrapped_below(text: str, indent: int, width: int | None) -> list[str]:
    """The lines of *text* in a column that begins after *indent* characters, of a line of *width* (pure)."""
    if width is None or width - indent < 20:
        return text.splitlines() or [""]
    room = width - indent
    return [
        part
        for line in text.splitlines() or [""]
        for part in textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
    ]


def show_findings(module: Module, home: Home, *, as_json: bool, strict: bool) -> int:
    """Print all that ``doctor`` finds; the exit status."""
    from dataclasses import asdict

    from mfext.doctor import FAULT, OK, WARNING, examine, worst

    found = examine(module, home)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        colours = {FAULT: "red", WARNING: "yellow", OK: "green"}
        width = max(len(one.check) for one in found)
        indent = 8 + 1 + width + 2
        for one in found:
            shown = click.style(f"{one.state:8}", fg=colours[one.state])
            first, *more = wrapped_below(one.found, indent, Form().width)
            click.echo(f"{shown} {one.check:{width}}  {first}")
            more += wrapped_below(f"-> {one.mend}", indent, Form().width) if one.mend else []
            for line in more:
                click.echo(f"{'':{indent}}{line}")
    state = worst(found)
    return 1 if state == FAULT or (strict and state == WARNING) else 0


LIFE_CYCLE: dict[str, click.Command] = {
    "start": start,
    "stop": stop,
    "restart": restart,
    "status": status,
    "logs": logs,
    "init": init,
    "doctor": doctor,
}
