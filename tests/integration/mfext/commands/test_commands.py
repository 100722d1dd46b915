"""The commands as they are typed, each in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mfext.environment import Home, child_variables
from mfext.supervision.supervisor import Supervisor
from mfext.testing import wait_until
from tests.servers import hear_interrupts

BIN = Path(sys.executable).parent

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home("mfdata", tmp_path / "homes/mfdata")
    yield home
    Supervisor(home).stop(1.0)


@pytest.fixture
def variables(home: Home) -> Mapping[str, str]:
    return {**child_variables(home), "PATH": f"{BIN}:/usr/bin:/bin", "MFDATA_SUPERVISOR_START_TIMEOUT": "200"}


@pytest.fixture
def run(tmp_path: Path, variables: Mapping[str, str]) -> Run:
    """Run a command line in an unrelated folder."""

    def run(*words: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**variables, **more}
        program = str(BIN / words[0])
        return subprocess.run(
            [program, *words[1:]],
            cwd=tmp_path,
            env=environment,
            input=typed,
            text=True,
            capture_output=True,
            check=False,
        )

    return run


def test_start_status_restart_stop(run: Run, home: Home) -> None:
    started = run("mfdata.start")
    assert (started.returncode, started.stdout, started.stderr) == (0, "mfdata is started\n", "")
    assert (home.path / "var/in/incoming").is_dir()
    again = run("mfdata.start")
    assert (again.returncode, again.stdout) == (0, "mfdata is already running\n")
    status = run("mfdata.status", "--json")
    assert status.returncode == 0
    found = json.loads(status.stdout)
    assert (found["module"], found["state"], found["problems"]) == ("mfdata", "running", [])
    assert {one["name"] for one in found["processes"]} >= {"observer", "step.switch.main"}
    assert run("mfdata.restart").returncode == 0
    stopped = run("metwork", "mfdata", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "mfdata is stopped\n")
    again = run("mfdata.stop")
    assert (again.returncode, again.stdout) == (0, "mfdata is not running\n")


def test_status_of_a_stopped_module_fails_and_says_so_in_json_too(run: Run) -> None:
    status = run("mfdata.status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["state"] == "stopped"
    assert status.stderr == ""


def test_start_says_which_plugin_fails_and_why(run: Run, home: Home) -> None:
    run("mfdata.init")
    plugin = home.plugins / "broken"
    plugin.mkdir()
    (plugin / "config.ini").write_text("[general]\nname = broken\n[step_main]\nnumproceses = 2\n")
    started = run("mfdata.start")
    assert started.returncode == 3
    assert 'broken/config.ini:4 [step_main] numproceses: unknown key. Did you mean "numprocesses"?' in started.stderr
    assert "Traceback" not in started.stderr
    status = run("mfdata.status")
    assert status.returncode == 1
    assert "plugin broken: " in status.stdout


def test_a_watched_status_is_told_again_and_again_until_ctrl_c(variables: Mapping[str, str]) -> None:
    command = [str(BIN / "mfdata.status"), "--watch", "--json", "--interval", "0.1"]
    with subprocess.Popen(
        command,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == ""
    assert [one["state"] for one in found] == ["stopped", "stopped"]


def test_status_says_what_became_of_a_killed_process_that_does_not_come_back(run: Run, home: Home) -> None:
    run("mfdata.start")
    arbiter = int((home.run / "arbiter.lock").read_text())
    os.kill(arbiter, signal.SIGKILL)
    wait_until(lambda: not Supervisor(home).is_running())
    status = run("mfdata.status")
    assert status.returncode == 1
    assert "mfdata is not running" in status.stdout
    assert run("mfdata.start").returncode == 0


def test_config_check_says_all_that_is_wrong(run: Run, home: Home) -> None:
    run("mfdata.init")
    assert run("metwork", "config", "check", "mfdata").returncode == 0
    (home.config / "config.ini").write_text("[incoming]\nstable_four = 1\npriority = 99\n")
    checked = run("metwork", "config", "check", "--json", "mfdata")
    assert checked.returncode == 3
    assert [fault["where"].rpartition(":")[2] for fault in json.loads(checked.stdout)] == [
        "2 [incoming] stable_four",
        "3 [incoming] priority",
    ]


def test_the_version_is_told(run: Run, home: Home) -> None:
    told = run("metwork", "--version")
    assert (told.returncode, told.stdout.split()[0]) == (0, "metwork")
    assert told.stdout.split()[1] in run("metwork", "modules").stdout


def test_config_check_names_overrides_of_no_plugin(run: Run, home: Home) -> None:
    run("mfdata.init")
    for name in ("swich", "switch"):
        (home.config / "plugins").mkdir(exist_ok=True)
        (home.config / "plugins" / f"{name}.ini").write_text("[step_main]\ntimeout = 5\n")
    checked = run("metwork", "config", "check", "mfdata")
    assert checked.returncode == 0
    assert checked.stderr.splitlines() == [
        f'WARNING : {home.config}/plugins/swich.ini: no plugin "swich" is installed. Did you mean "switch"?'
    ]


def test_config_show_names_the_origin_of_each_value(run: Run, home: Home) -> None:
    run("mfdata.init")
    (home.config / "config.ini").write_text("[incoming]\nstable_for = 7\n")
    shown = run("metwork", "config", "show", "--json", MFDATA_INCOMING_PRIORITY="3")
    origins = {(row["plugin"], row["section"], row["key"]): row["origin"] for row in json.loads(shown.stdout)}
    assert origins["", "incoming", "stable_for"] == f"{home.config}/config.ini:2"
    assert origins["", "incoming", "priority"] == "environment MFDATA_INCOMING_PRIORITY"
    assert origins["", "incoming", "rescan_interval"] == "default"
    assert ("switch", "step_main", "cmd") in origins


def test_the_shell_runs_a_command_in_the_home_and_gives_its_exit_status(run: Run, home: Home) -> None:
    ran = run("metwork", "shell", "mfdata", "-c", "pwd; echo ~; echo $MFMODULE; command -v plugins.list; exit 3")
    assert ran.returncode == 3
    assert ran.stdout.splitlines() == [str(home.path), str(home.path), "MFDATA", f"{BIN}/plugins.list"]


def test_the_shell_opens_where_the_configuration_is_to_be_mended(run: Run, home: Home) -> None:
    run("mfdata.init")
    (home.config / "config.ini").write_text("nonsense")
    assert run("metwork", "shell", "mfdata", "-c", "cat config/config.ini").stdout == "nonsense"


def test_the_shell_reads_commands_without_a_terminal(run: Run) -> None:
    ran = run("metwork", "shell", "mfdata", typed="cd var\necho ${PWD##*/}\n")
    assert (ran.returncode, ran.stdout) == (0, "var\n")


def test_the_shell_of_a_person_has_banner_and_prompt(variables: Mapping[str, str], home: Home) -> None:
    terminal, other = os.openpty()
    words = [str(BIN / "metwork"), "shell", "mfdata"]
    with subprocess.Popen(
        words, env=variables, stdin=other, stdout=other, stderr=other, start_new_session=True
    ) as shell:
        os.close(other)
        os.write(terminal, b"cd var; exit 5\n")
        shown = b""
        try:
            while part := os.read(terminal, 4096):
                shown += part
        except OSError:  # the shell has closed the terminal
            pass
    os.close(terminal)
    assert shell.returncode == 5
    assert b"MFDATA\r\n" in shown
    assert b"(module: MFDATA, version " in shown
    assert b"[mfdata:~] $ " in shown


def test_two_homes_run_side_by_side(run: Run, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    try:
        assert run("mfdata.start").returncode == 0
        assert run("mfdata.start", METWORK_HOME=other).returncode == 0
        run("mfdata.stop")
        assert run("mfdata.status", METWORK_HOME=other).returncode == 0
    finally:
        run("mfdata.stop", METWORK_HOME=other)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("command", ["start", "stop", "restart", "status", "init", "queues"])
def test_no_command_acts_on_the_home_of_another_user(run: Run, home: Home, command: str) -> None:
    run("mfdata.init")
    os.chown(home.path, 12345, -1)
    refused = run(f"mfdata.{command}")
    assert refused.returncode == 7
    assert "belongs to user 12345, and you are root" in refused.stderr
    assert refused.stdout == ""


def test_a_home_that_cannot_be_made_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = run("mfdata.start", METWORK_HOME=str(tmp_path / "file"))
    assert refused.returncode != 0
    assert "is not a folder" in refused.stderr


def test_a_reader_that_goes_away_is_no_fault(variables: Mapping[str, str]) -> None:
    line = f"{BIN}/metwork config show mfdata | head -n 1"
    ran = subprocess.run(["bash", "-c", line], env=variables, capture_output=True, text=True, check=False)
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("more", "is_coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    run: Run, variables: Mapping[str, str], more: Mapping[str, str], is_coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    environment = {**variables, "TERM": "xterm", **more}
    environment.update({} if "NO_COLOR" in more else {"NO_COLOR": ""})
    subprocess.run([str(BIN / "mfdata.doctor")], env=environment, stdout=theirs, stderr=theirs, check=False)
    os.close(theirs)
    shown = b""
    try:
        while found := os.read(ours, 65536):
            shown += found
    except OSError:  # how Linux tells that nobody writes any more
        pass
    os.close(ours)
    assert b"libmagic" in shown
    assert (b"\x1b[3" in shown) == is_coloured
    assert "\x1b" not in run("mfdata.doctor").stdout


def test_commands_that_change_something_say_so_in_json(run: Run, home: Home, tmp_path: Path) -> None:
    def told(*words: str) -> object:
        done = run(*words, "--json", MFMODULE="MFDATA")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert told("mfdata.init") == {"module": "mfdata", "changed": True, "home": str(home.path)}
    made = {"name": "one", "folder": str(tmp_path / "one"), "template": "default", "secrets": None}
    assert told("bootstrap_plugin.py", "create", "--no-input", "one") == made
    assert told("config.template", "one") == {"file": str(tmp_path / "one/config.ini"), "added": []}
    (archive,) = told("plugins.release", "one").values()  # type: ignore[attr-defined]
    assert (tmp_path / archive).is_file()
    planned = told("plugins.install", "--dry-run", archive)
    assert isinstance(planned, dict)
    assert (planned["module"], planned["is_running"], len(planned["plugins"])) == ("mfdata", False, 1)
    assert planned["processes"] == {"stopped": [], "started": [], "restarted": [], "adjusted": []}
    done = told("plugins.install", archive)
    assert isinstance(done, dict)
    assert [one["name"] for one in done["installed"]] == ["one"]
    assert told("plugins.repair") == {"module": "mfdata", "installed": [], "runs": False, "problems": []}
    assert told("metwork", "apply") == {"module": "mfdata", "changed": False, "problems": []}
    assert told("plugins.uninstall", "one") == {"name": "one", "module": "mfdata"}
    for command, changes in (("start", True), ("start", False), ("restart", True), ("stop", True), ("stop", False)):
        assert told(f"mfdata.{command}") == {"module": "mfdata", "changed": changes, "problems": []}
