"""The command ``metwork``, and the dotted commands (``mfdata.start``, ``plugins.list``) that are short for it.

A command is made, and what it needs imported, only when it is looked up: most are called often and do little.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfext.commands.busy import Busy
from mfext.commands.dry_run import DRY_RUN, show_preview
from mfext.commands.offers import offer_modules
from mfext.commands.output import (
    COMPLETE,
    HELP,
    JSON,
    Form,
    LazyGroup,
    Maker,
    colour,
    print_json,
    progress,
    report,
    shows_form,
    with_version,
)
from mfext.disk import USED_UP
from mfext.environment import current_module, home_of, variables
from mfext.errors import InternalError, MetworkError, UsageError, nearest

if TYPE_CHECKING:
    from mfext.commands.module import Target

#: Faults of the machine rather than of ours: one line says enough.
_MACHINE = USED_UP | {errno.EACCES, errno.EPERM, errno.EROFS}
#: Exit status of a command that was interrupted, as shells give it.
_INTERRUPTED = 130


#: Names of programs besides ``metwork`` and ``GROUP.COMMAND``, and the words of the command that each is.
_OTHERS = {"bootstrap_plugin.py": ("bootstrap_plugin.py",), "_plugins.develop": ("plugins", "develop")}


def alias() -> int:
    """Run what the name of the program says: the entry point of every console script."""
    return run(sys.argv[1:], Path(sys.argv[0]).name)


def run(arguments: Sequence[str], program: str = "metwork") -> int:
    """Run *program* with *arguments*; every error becomes a message, and the exit status is given."""
    try:
        command, target = command_of(program)
        if target and COMPLETE not in variables():
            target.check_caller(arguments)
        status = command.main(
            list(arguments),
            prog_name=program,
            complete_var=COMPLETE,
            standalone_mode=False,
            obj=target,
            help_option_names=HELP,
            color=colour(),
        )
    except MetworkError as error:
        return report([error])
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone; Python would complain of it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _unforeseen(error)
    return status if isinstance(status, int) else 0


def _unforeseen(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _MACHINE:
        place = f"{error.filename}: " if error.filename else ""
        return report([MetworkError(f"{place}{error.strerror}")])
    import traceback

    traceback.print_exc()
    click.echo("\nThis is a fault of MetWork itself: please report it, with the lines above.", err=True)
    return InternalError.exit_code


def metwork() -> click.Group:
    """The command ``metwork``."""
    made = _Metwork("metwork", _commands, help="MetWork: receive, route and process meteorological data with plugins.")
    with_version(made)
    return made


def command_of(program: str) -> tuple[click.Command, Target | None]:
    """The command that *program* is, and what it acts on where it is one of a module.

    Raises:
        UsageError: there is none of that name.
    """
    command: click.Command = metwork()
    context = click.Context(command, help_option_names=HELP)
    for word in words_of(program):
        found = command.get_command(context, word) if isinstance(command, click.Group) else None
        if found is None:
            raise UsageError(f'there is no command "{program}"', mend=nearest(program, program_names()))
        command = found
    return command, context.obj


def words_of(program: str) -> tuple[str, ...]:
    """What *program* is as words after ``metwork`` (pure): ``mfdata.start`` is ``mfdata start``."""
    return () if program == "metwork" else _OTHERS.get(program) or tuple(program.split(".", 1))


def program_names() -> list[str]:
    """The names of all programs: ``metwork``, and ``GROUP.COMMAND`` for each ``metwork GROUP COMMAND``."""
    root = metwork()
    context = click.Context(root)
    names = ["metwork", *_OTHERS]
    for name in root.list_commands(context):
        group = root.get_command(context, name)
        if isinstance(group, click.Group) and name not in _OTHERS:
            names += [f"{name}.{command}" for command in group.list_commands(click.Context(group))]
    return names


class _Metwork(LazyGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        from mfext.module import module_names

        return [*module_names(), *super().list_commands(ctx)]

    def find_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from mfext.module import has_module

        # To look for the one module that is meant is quick, to look for all takes longer than most commands do.
        return super().find_command(ctx, name) or (_module(name) if has_module(name) else None)

    def unknown(self, ctx: click.Context, name: str) -> UsageError:
        """Also the commands of groups: ``metwork start`` may have been ``metwork mfdata start``."""
        dotted = program_names()
        if "." in name:
            meant = [" ".join(["metwork", *words_of(name)])] if name in dotted else []
            found = f'there is no command "{"metwork " * (name in dotted)}{name}"'
        else:
            meant = [f"metwork {one.replace('.', ' ', 1)}" for one in dotted if one.endswith(f".{name}")]
            found = f'"{ctx.command_path}" has no command "{name}"'
        known = dotted if "." in name else self.list_commands(ctx)
        quoted = " or ".join(f'"{one}"' for one in meant)
        return UsageError(found, mend=f"Did you mean {quoted}?" if meant else nearest(name, known))


def _commands() -> dict[str, Maker]:
    makers: dict[str, Maker] = {"plugins": _plugins, "bootstrap_plugin.py": _bootstrap, "config": _config}
    return makers | {
        command.name or "": (lambda made=command: made)
        for command in (modules, components, shell, completion, apply, doctor)
    }


def _module(name: str) -> click.Command:
    from mfext.commands.module import ModuleGroup

    return ModuleGroup(name)


def _plugins() -> click.Command:
    from mfext.commands.plugins import plugins

    return plugins


def _bootstrap() -> click.Command:
    from mfext.commands.plugins import bootstrap

    bootstrap.hidden = True
    return bootstrap


def _config() -> click.Command:
    from mfext.commands.config import config

    return config


@click.command()
@shows_form
def modules(form: Form) -> None:
    """List the modules whose software is here."""
    from mfext.module import load_module, module_names
    from mfext.table import Column, listing
    from mfext.version import software_build

    columns = ("name", "version", "home", "summary")
    rows = [(name, software_build(), str(home_of(name).path), load_module(name).summary) for name in module_names()]
    if form.is_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = ("NAME", Column("VERSION", least=12), Column("HOME", least=16, keeps_end=True), Column("SUMMARY", least=20))
    click.echo(listing("Modules", shown, rows, "module", form.width))


@click.command()
@shows_form
def components(form: Form) -> None:
    """List the third-party software that comes with MetWork.

    Its layers count; licences and home pages are told.
    """
    from mfext.component import components as found
    from mfext.table import Column, listing

    columns = ("name", "version", "licence", "home_page", "layer")
    rows = [tuple(getattr(one, column) for column in columns) for one in found()]
    if form.is_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = (
        *(Column("NAME", least=16), Column("VERSION", least=8), Column("LICENCE", least=12)),
        *(Column("HOME PAGE", least=20, leaves=1), Column("LAYER", leaves=2)),
    )
    click.echo(listing("Components", shown, rows, "component", form.width))


@click.command()
@click.option("-c", "command", default="", help="Run this command instead of asking for some.")
@click.argument("module", default="", shell_complete=offer_modules)
def shell(module: str, command: str) -> None:
    """Open a shell in the home of MODULE.

    Its commands are on the PATH.

    Without a terminal it reads commands from standard input.
    """
    from mfext.commands.shell import open_shell
    from mfext.lifecycle.home import make_home
    from mfext.module import load_module

    chosen = load_module(module or current_module())
    home = home_of(chosen.name)
    make_home(chosen, home)
    open_shell(home, command)


@click.command()
@click.argument("shell", default="bash", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what SHELL reads to complete commands.

    For example: source <(metwork completion bash). By default it is bash.

    The shell that "metwork shell" opens has it, and so have packages.
    """
    from mfext.commands.completion import programs_here, script

    click.echo(script(shell, programs_here()), nl=False)


@click.command()
@click.option("--plugin", default="", help="The plugin that was changed: wait for its processes, raise its faults.")
@DRY_RUN
@JSON
@click.argument("module", default="", shell_complete=offer_modules)
def apply(module: str, plugin: str, *, is_dry: bool, as_json: bool) -> int:
    """Put in force what was changed on disk: configuration, plugins. Only what differs is touched.

    It is checked first; what is faulty goes on as before.
    """
    from mfext.lifecycle import lifecycle
    from mfext.module import load_module
    from mfext.plugin.developed import prepare_linked
    from mfext.supervision.process_set import changes
    from mfext.supervision.supervisor import Supervisor

    chosen = load_module(module or current_module())
    home = home_of(chosen.name)
    if is_dry:
        from mfext.lifecycle.preview import preview_apply

        return show_preview(preview_apply(chosen, home, (plugin,) if plugin else ()), chosen.name, as_json=as_json)
    unprepared = prepare_linked(chosen, home, progress)
    before = Supervisor(home).processes()
    with Busy(f"{chosen.name} puts in force what was changed"):
        result = lifecycle.apply(chosen, home, plugins=(plugin,) if plugin else ())
    problems = [*unprepared, *result.problems]
    if as_json:
        told = [problem.message for problem in problems]
        print_json({"module": chosen.name, "changed": result.changed, "problems": told})
    elif not result.changed:
        click.echo(f"{chosen.name} is not running: checked only")
    else:
        found = changes(before, [*Supervisor(home).processes().values()])
        acts = {
            "started": found.added,
            "restarted": found.replaced,
            "stopped": found.removed,
            "adjusted": found.adjusted,
        }
        done = ", ".join(f"{len(processes)} {act}" for act, processes in acts.items() if processes)
        click.echo(f"{chosen.name}: processes: {done}" if done else f"{chosen.name}: no process had to change")
    return report(problems)


@click.command()
@click.option("--strict", is_flag=True, help="The exit status is 1 with a warning, too.")
@JSON
@click.argument("module", default="", shell_complete=offer_modules)
def doctor(module: str, as_json: bool, strict: bool) -> int:
    """Say what is wrong with machine and home, and what mends it.

    Nothing is changed.

    The exit status is 1 when there is a fault, with --strict also when there is a warning.
    """
    from mfext.commands.module import show_findings
    from mfext.module import load_module

    chosen = load_module(module or current_module())
    return show_findings(chosen, home_of(chosen.name), as_json=as_json, strict=strict)
