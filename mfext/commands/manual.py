"""Manual pages (``man mfdata.start``), made from what the commands say of themselves."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from mfext.commands.cli import command_of, program_names, words_of
from mfext.commands.output import HELP, VERSION
from mfext.version import software_version

_END = """\
.SH EXIT STATUS
0 when it is done; 1 when something went wrong or is not as it should be; 2 when the command was not understood; 3 when
a configuration must be mended, 4 a plugin; 5 when what must run does not; 6 when somebody else holds what is needed;
7 when the user may not do it.
.SH SEE ALSO
"""


def manual_pages(programs: Iterable[str], version: str) -> dict[str, str]:
    """The manual page of each of *programs*, of the software *version*, by the name of its file."""
    named = [program for program in programs if not program.startswith("_")]
    return {f"{program}.1": _page(program, named, version) for program in named}


def _page(program: str, programs: Sequence[str], version: str) -> str:
    command, target = command_of(program)
    context = click.Context(command, info_name=program, help_option_names=HELP, obj=target)
    summary, _, rest = _help(command).partition("\n\n")
    lines = [
        f'.TH "{_plain(program.upper())}" "1" "" "MetWork {_plain(version)}" "MetWork"',
        f".SH NAME\n{_plain(program)} \\- {_plain(summary)}",
        f".SH SYNOPSIS\n.B {_plain(program)}\n{_usage(context)}",
    ]
    words = words_of(program)
    if len(words) > 1:
        lines.append(f".br\n.B metwork {_plain(' '.join(words))}\n{_usage(context)}")
    lines.append(f".SH DESCRIPTION\n{_plain(summary)}")
    lines += [f".PP\n{_plain(part)}" for part in rest.split("\n\n") if part]
    lines += [".SH OPTIONS", *_options(context, command.get_params(context))]
    inner = list(_commands(context))
    if inner:
        lines.append(".SH COMMANDS")
    for one in inner:
        lines.append(f".SS {_plain(one.info_name or '')} {_usage(one)}\n{_plain(_help(one.command))}")
        # What every command has is said above.
        lines += _options(one, [option for option in one.command.params if option is not VERSION])
    others = [name for name in programs if name != program] if program == "metwork" else ["metwork"]
    links = ", ".join(f"{_plain(name)}(1)" for name in others)
    return "\n".join(lines) + f"\n{_END}{links}\n"


def _commands(context: click.Context) -> Iterator[click.Context]:
    """The commands of a group that have no page of their own."""
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else ():
        command = group.get_command(context, name) if isinstance(group, click.Group) else None
        if command and not (context.info_name == "metwork" and isinstance(command, click.Group)):
            yield click.Context(command, info_name=name, parent=context)


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _usage(context: click.Context) -> str:
    return _plain(" ".join(context.command.collect_usage_pieces(context)))


def _options(context: click.Context, parameters: Iterable[click.Parameter]) -> Iterator[str]:
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record and record[1]:
            yield f".TP\n.B {_plain(record[0])}\n{_plain(record[1])}"


def _plain(text: str) -> str:
    """*text* as man shows it, on one line, whatever its first letter is."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    # python -m mfext.commands.manual FOLDER: as tools/setup makes them.
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    for page, written in manual_pages(program_names(), software_version()).items():
        (place / page).write_text(written, "utf-8")
