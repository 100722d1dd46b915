from __future__ import annotations

import errno
import json
from importlib.metadata import distribution
from pathlib import Path

import click
import pytest

from mfext.commands import cli
from mfext.commands.cli import arguments_of, metwork, run
from mfext.errors import Conflict


@pytest.mark.parametrize(
    ("program", "arguments", "expected"),
    [
        ("metwork", ["mfdata", "start"], ["mfdata", "start"]),
        ("mfdata.start", [], ["mfdata", "start"]),
        ("mfdata.quarantine", ["list", "--json"], ["mfdata", "quarantine", "list", "--json"]),
        ("plugins.list", ["--json"], ["plugins", "list", "--json"]),
        ("_plugins.develop", ["."], ["plugins", "develop", "."]),
        ("bootstrap_plugin.py", ["create", "x"], ["bootstrap_plugin.py", "create", "x"]),
    ],
)
def test_the_name_of_a_program_says_what_it_does(program: str, arguments: list[str], expected: list[str]) -> None:
    assert arguments_of(program, arguments) == expected


def console_scripts() -> list[str]:
    points = distribution("metwork").entry_points
    return sorted(point.name for point in points if point.group == "console_scripts")


@pytest.mark.parametrize("program", console_scripts())
def test_every_console_script_is_a_command_that_has_a_help_text(program: str) -> None:
    words = arguments_of(program, [])
    command: click.Command = metwork()
    context = click.Context(command)
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None, f"there is no command {word}"
        command = found
    assert command.help


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


def test_every_command_of_a_module_has_its_dotted_name() -> None:
    command = metwork().get_command(click.Context(metwork()), "mfdata")
    assert isinstance(command, click.Group)
    names = command.list_commands(click.Context(command))
    assert {f"mfdata.{name}" for name in names} == {name for name in console_scripts() if name.startswith("mfdata.")}
