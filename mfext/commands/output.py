"""What commands print, and groups whose commands are made when they are looked up."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mfext.environment import variables, wants_colour
from mfext.errors import MetworkError, UsageError, nearest

#: The variable by which a shell asks for completions, whatever the name of the program.
COMPLETE = "_METWORK_COMPLETE"
#: Options that show the help of a command.
HELP = ["-h", "--help"]

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


@dataclass(frozen=True)
class Form:
    """The form in which a command shows what it found."""

    is_json: bool = False
    #: All columns, and nothing cut.
    is_wide: bool = False

    @property
    def width(self) -> int | None:
        """Characters that a line may have; None = any number: it is wide, or no terminal reads it."""
        if self.is_wide:
            return None
        asked = variables().get("COLUMNS", "")
        if asked.isdecimal() and int(asked):
            return int(asked)
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shows_form(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options ``-o wide|json`` and ``--json``, as its argument *form*."""

    @JSON
    @click.option(
        "-o", "--output", type=click.Choice(["wide", "json"]), help="wide: all columns, nothing cut; json: as --json."
    )
    @wraps(command)
    def merged(*arguments: Any, as_json: bool, output: str | None, **options: Any) -> Any:
        return command(*arguments, form=Form(as_json or output == "json", output == "wide"), **options)

    return merged


#: What states of processes, plugins and apps look like on a terminal.
_COLOURS = {
    **dict.fromkeys(("failing", "refused", "rule_error", "poison"), "red"),
    **dict.fromkeys(("starting", "drained", "degraded"), "yellow"),
    "running": "green",
}


def paint_states(title: str, cell: str) -> str:
    """*cell* of the column *title* as a terminal shows it: states have a colour; `colour` says whether it is shown."""
    colour = _COLOURS.get(cell) if title in ("STATE", "KIND") else None
    return click.style(cell, fg=colour) if colour else cell


def colour() -> bool | None:
    """Whether colours are printed: not with ``NO_COLOR``; None = as long as a terminal reads them."""
    return None if wants_colour() else False


def shown_path(path: str | Path) -> str:
    """*path* as a person writes it: below the own home folder, it begins with ``~/``."""
    text, own = os.fspath(path), os.path.expanduser("~")  # noqa: PTH111
    return f"~{text[len(own) :]}" if own != "/" and text.startswith(f"{own}/") else text


#: A function that makes a command.
Maker = Callable[[], click.Command]


def report(errors: Sequence[MetworkError]) -> int:
    """Say on stderr what is wrong; the exit status for it, 0 when nothing is."""
    for error in errors:
        click.echo(error.message, err=True)
    return errors[0].exit_code if errors else 0


def print_json(value: Any) -> None:
    """Write *value* to stdout, which gets nothing else."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    """*value* as JSON that a person can read, too."""
    return json.dumps(value, indent=2, default=str)


def progress(text: str) -> None:
    """Say what is done now, before something that takes more than a moment; stdout is for what comes of it."""
    click.echo(f"INFO : {text}", err=True)


def _show_version(context: click.Context, _option: click.Parameter, is_asked: bool) -> None:
    from mfext.version import software_build

    if is_asked and not context.resilient_parsing:
        click.echo(f"metwork {software_build()}")
        context.exit()


#: Every command has it: see `with_version`.
VERSION = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)


def with_version(command: click.Command) -> click.Command:
    """*command* with the option ``--version``; all that are below it have it, too."""
    if VERSION not in command.params:
        command.params.append(VERSION)
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        with_version(one)
    return command


class Group(click.Group):
    """A group that names the nearest command where there is none of a name: ``@click.group(cls=Group)``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, rest = args[0], args[1:]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-") and not ctx.resilient_parsing:
            raise self.unknown(ctx, name)
        return (name, command, rest) if command else super().resolve_command(ctx, args)

    def unknown(self, ctx: click.Context, name: str) -> UsageError:
        """What is said of *name*, which is no command of the group."""
        mend = nearest(name, self.list_commands(ctx))
        return UsageError(f'"{ctx.command_path}" has no command "{name}"', mend=mend)


class LazyGroup(Group):
    """A group whose commands are made when they are looked up."""

    def __init__(self, name: str, makers: Callable[[], Mapping[str, Maker]], **settings: Any) -> None:
        super().__init__(name, context_settings={"help_option_names": HELP}, **settings)
        self.makers = makers

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.makers())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.find_command(ctx, cmd_name)
        return with_version(found) if found else None

    def find_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command *name* of the group as it is declared; None = there is none."""
        maker = self.makers().get(name)
        return maker() if maker else None
