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

from mfext.environment import variables
from mfext.errors import MetworkError, UsageError, nearest

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
    """*cell* of the column *title* as a terminal shows it: states have a colour, unless ``NO_COLOR`` is set."""
    colour = _COLOURS.get(cell) if title in ("STATE", "KIND") and not variables().get("NO_COLOR") else None
    return click.style(cell, fg=colour) if colour else cell


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
    click.echo(json.dumps(value, indent=2, default=str))


def progress(text: str) -> None:
    """Say what is done now, before something that takes more than a moment; stdout is for what comes of it."""
    click.echo(f"INFO : {text}", err=True)


class LazyGroup(click.Group):
    """A group whose commands are made when they are looked up."""

    def __init__(self, name: str, makers: Callable[[], Mapping[str, Maker]], **settings: Any) -> None:
        super().__init__(name, context_settings={"help_option_names": ["-h", "--help"]}, **settings)
        self.makers = makers

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.makers())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        maker = self.makers().get(cmd_name)
        return maker() if maker else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, rest = args[0], args[1:]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-"):
            raise UsageError(
                f'"{ctx.command_path}" has no command "{name}"', mend=nearest(name, self.list_commands(ctx))
            )
        return (name, command, rest) if command else super().resolve_command(ctx, args)
