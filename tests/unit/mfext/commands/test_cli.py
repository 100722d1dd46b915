from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from mfext.commands import cli
from mfext.commands.cli import command_of, metwork, program_names, run, words_of
from mfext.commands.output import HELP
from mfext.environment import SOFTWARE
from mfext.errors import Conflict


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("metwork", ()),
        ("mfdata.start", ("mfdata", "start")),
        ("mfdata.quarantine", ("mfdata", "quarantine")),
        ("plugins.list", ("plugins", "list")),
        ("_plugins.develop", ("plugins", "develop")),
        ("bootstrap_plugin.py", ("bootstrap_plugin.py",)),
    ],
)
def test_the_name_of_a_program_says_what_it_does(program: str, words: tuple[str, ...]) -> None:
    assert words_of(program) == words


def console_scripts() -> list[str]:
    settings = ConfigParser(delimiters=("=",), interpolation=None)
    settings.optionxform = str  # type: ignore[assignment,method-assign]
    settings.read(SOFTWARE / "setup.cfg")
    points = settings["options.entry_points"]["console_scripts"].split("\n")
    return sorted(point.partition(" =")[0] for point in points if point)


def contexts(context: click.Context) -> Iterator[click.Context]:
    """Every command from that of *context* on, in a context of its own."""
    yield context
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else ():
        command = group.get_command(context, name) if isinstance(group, click.Group) else None
        assert command is not None, name
        yield from contexts(click.Context(command, info_name=name, parent=context))


def spaced() -> list[list[str]]:
    """The words of every command after ``metwork``, groups included."""
    every = contexts(click.Context(metwork(), info_name="metwork", help_option_names=HELP))
    return [context.command_path.split()[1:] for context in every]


SPACED = spaced()
PAIRS = [words for words in SPACED if len(words) == 2 and words[0] != "bootstrap_plugin.py"]


def test_what_has_two_words_is_a_program_with_a_dot_and_the_other_way_round() -> None:
    dotted = {".".join(words) for words in PAIRS}
    assert {*console_scripts()} == {*dotted, "metwork", "bootstrap_plugin.py", "_plugins.develop"}
    assert console_scripts() == sorted(program_names())


@pytest.mark.parametrize("program", console_scripts())
def test_every_program_names_itself_in_its_usage_as_it_was_typed(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-h"], program) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].startswith(f"Usage: {program} ")
    assert run(["--no-such-option"], program) == 2
    assert f"Usage: {program} " in capsys.readouterr().err
    assert command_of(program)[0].help


@pytest.mark.parametrize("words", SPACED, ids=" ".join)
def test_every_command_has_a_help_text_and_the_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "-h"]) == 0
    usage, _, rest = capsys.readouterr().out.partition("\n")
    assert usage.startswith(f"Usage: {' '.join(['metwork', *words])} ")
    assert rest.strip()
    assert run([*words, "--version"]) == 0
    assert capsys.readouterr().out.startswith("metwork ")


@pytest.mark.parametrize("words", [words for words in SPACED if words], ids=" ".join)
def test_a_misspelt_command_is_told_the_nearest(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words[:-1], f"{words[-1]}x"]) == 2
    shown = capsys.readouterr().err
    assert f'no command "{words[-1]}x"' in shown
    assert "Did you mean" in shown


@pytest.mark.parametrize(
    ("program", "arguments", "told"),
    [
        ("mfdata.quarantine", ["lst"], '"mfdata.quarantine" has no command "lst". Did you mean "list"?'),
        ("metwork", ["mfdata.strat"], 'there is no command "mfdata.strat". Did you mean "mfdata.start"?'),
        ("metwork", ["mfdata.start"], 'no command "metwork mfdata.start". Did you mean "metwork mfdata start"?'),
        ("metwork", ["strt"], '"metwork" has no command "strt". Known:'),
        ("metwork", ["queues"], 'Did you mean "metwork mfdata queues"?'),
        ("metwork", ["stop"], 'Did you mean "metwork mfdata stop" or "metwork mfserv stop"?'),
        ("mfdata.strat", [], 'there is no command "mfdata.strat". Did you mean "mfdata.start"?'),
    ],
)
def test_what_is_no_command_is_told_what_may_have_been_meant(
    program: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, program) == 2
    assert told in capsys.readouterr().err


#: Commands that do something and have nothing to show but that it is done; or that run what others wrote.
ACTING = [
    *("shell", "develop", "sign", "test", "run", "completion"),
]


@pytest.mark.parametrize("words", SPACED, ids=" ".join)
def test_every_command_that_prints_data_prints_json(words: list[str]) -> None:
    command: click.Command = metwork()
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word) or command
    is_data = not isinstance(command, click.Group) and words[-1] not in ACTING
    assert not is_data or "--json" in [name for one in command.params for name in one.opts]


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["module"]) == 2
    assert 'Did you mean "modules"?' in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["modules", "--jsn"]) == 2
    assert "--jsn" in capsys.readouterr().err


def test_modules_as_json_is_a_list_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["modules", "--json"]) == 0
    output = capsys.readouterr()
    assert [one["name"] for one in json.loads(output.out)] == ["mfdata", "mfserv"]
    assert output.err == ""


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command raise *error*."""

    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli, "metwork", lambda: command)


def test_an_error_of_ours_is_its_message_and_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(Conflict("the port 21 is taken", where="ftp", mend="Choose another."), monkeypatch)
    assert run([]) == Conflict.exit_code
    output = capsys.readouterr()
    assert output.err == "ftp: the port 21 is taken. Choose another.\n"
    assert output.out == ""


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(OSError(errno.ENOSPC, "No space left on device", "/data/x"), monkeypatch)
    assert run([]) == 1
    assert capsys.readouterr().err == "/data/x: No space left on device\n"


def test_a_fault_of_ours_shows_its_stack_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(KeyError("nowhere"), monkeypatch)
    assert run([]) == 70
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "please report it" in shown


def test_an_interrupted_command_ends_as_in_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(KeyboardInterrupt(), monkeypatch)
    assert run([]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_is_for_everybody_also_where_the_home_is_not_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METWORK_HOME", str(tmp_path / "a-file"))
    (tmp_path / "a-file").touch()
    assert run(["mfdata", "start", "--help"]) == 0
    assert "Start the module" in capsys.readouterr().out


GROUPS = [
    context
    for context in contexts(click.Context(metwork(), info_name="metwork", help_option_names=HELP))
    if isinstance(context.command, click.Group)
]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.command_path)
def test_no_command_is_cut_in_the_help_of_its_group(group: click.Context) -> None:
    narrow = click.Context(group.command, info_name=group.info_name, parent=group.parent, terminal_width=80)
    lines = narrow.command.get_help(narrow).partition("Commands:")[2].splitlines()
    assert not [line for line in lines if "..." in line or len(line) > 80]
    assert len(lines) > 1
