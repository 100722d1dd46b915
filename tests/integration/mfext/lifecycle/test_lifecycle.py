"""The life of a module with the real supervisor, real processes and real plugins."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import ConfigError, Conflict, MetworkError, NotAllowed, PluginError, ServiceUnavailable
from mfext.fs.lock import exclusive
from mfext.lifecycle import lifecycle
from mfext.lifecycle.status import Status, status
from mfext.module import Module
from mfext.option import option
from mfext.plugin.manifest import Plugin
from mfext.section import Config, Schema, Section
from mfext.supervision.process import Process
from mfext.supervision.supervisor import Supervisor
from mfext.testing import wait_until

WORKER = """
from mfext.mainloop import Mainloop
with Mainloop() as loop:
    loop.ready()
    while not loop.stopping:
        loop.wait()
        if loop.draining:
            loop.drained()
"""


@dataclass(frozen=True)
class Job(Section):
    """Something that runs."""

    count: int = option(1, minimum=0, help="How many of it.")


@dataclass(frozen=True)
class Place(Section):
    """Where something lies."""

    folder: str = option("data", help="A folder below var.")


def processes(_: Home, config: Config, plugins: Sequence[Plugin]) -> list[Process]:
    return [
        Process(
            name=f"job.{plugin.name}",
            command=(sys.executable, "main.py"),
            folder=plugin.folder,
            plugin=plugin.name,
            numprocesses=plugin.config.section("job_main", Job).count,
            graceful_timeout=2.0,
            fingerprint=(plugin.folder / "main.py").read_text() + repr(plugin.config.rows()),
        )
        for plugin in plugins
    ]


def check(_: Home, config: Config, plugins: Sequence[Plugin]) -> None:
    for plugin in plugins:
        if plugin.general.summary == "does not go with the others":
            raise PluginError(f"{plugin.name} does not go with the others")


MODULE = Module(
    name="mfdata",
    summary="for tests",
    schema=Schema({"place": Place}),
    plugin_schema=Schema({"job_*": Job}),
    folders=lambda config: [Path("var", config.section("place", Place).folder)],
    builtin_plugins=lambda _: [],
    processes=processes,
    check=check,
    publish=lambda *_: None,
    commands=list,
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home("mfdata", tmp_path / "homes/mfdata")
    yield home
    Supervisor(home).stop(1.0)


def install(home: Home, name: str, more: str = "", main: str = WORKER, summary: str = "") -> Path:
    """The folder of the plugin *name*, which is made anew."""
    folder = home.plugins / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(main)
    (folder / "config.ini").write_text(f"[general]\nname = {name}\nsummary = {summary}\n[job_main]\n{more}")
    return folder


def start(home: Home) -> lifecycle.Result:
    return lifecycle.start(MODULE, home, timeout=60.0)


def apply(home: Home, plugin: str = "") -> lifecycle.Result:
    return lifecycle.apply(MODULE, home, plugins=(plugin,) if plugin else (), timeout=60.0)


def status_of(home: Home) -> Status:
    return status(MODULE, home)


def pids(home: Home) -> dict[str, tuple[int, ...]]:
    return {state.plugin: state.pids for state in Supervisor(home).states()}


def test_init_makes_folders_and_a_commented_configuration_and_starts_nothing(home: Home) -> None:
    assert lifecycle.init(MODULE, home)
    assert (home.var / "data").is_dir()
    assert "# folder = data" in (home.config / "config.ini").read_text()
    assert not Supervisor(home).is_running()


def test_a_new_home_is_not_for_other_users_and_an_old_one_stays_as_it_is(home: Home) -> None:
    lifecycle.init(MODULE, home)
    assert home.path.stat().st_mode & 0o777 == 0o750
    assert (home.config / "config.ini").stat().st_mode & 0o777 == 0o640
    home.path.chmod(0o755)
    lifecycle.init(MODULE, home)
    assert home.path.stat().st_mode & 0o777 == 0o755


def test_init_leaves_what_is_there(home: Home) -> None:
    lifecycle.init(MODULE, home)
    (home.config / "config.ini").write_text("[place]\nfolder = elsewhere\n")
    (home.var / "data/kept").touch()
    assert not lifecycle.init(MODULE, home)
    assert (home.config / "config.ini").read_text() == "[place]\nfolder = elsewhere\n"
    assert (home.var / "data/kept").exists()
    assert (home.var / "elsewhere").is_dir()


def test_start_returns_when_all_is_ready(home: Home) -> None:
    install(home, "a", "count = 2\n")
    assert start(home) == lifecycle.Result(changed=True)
    found = status_of(home)
    assert (found.state, list(found.problems)) == ("running", [])
    assert len(found.processes[0].ready) == 2


def test_systemd_is_told_when_all_is_ready_and_who_is_to_be_watched(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(home, "one")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        ready: list[bool] = []

        def hear() -> None:
            assert systemd.recv(100) == f"MAINPID={Supervisor(home).pid()}\nREADY=1".encode()
            ready.append(all(state.is_well for state in Supervisor(home).states()))
            os.close(socket.recv_fds(systemd, 100, 1)[1][0])

        thread = threading.Thread(target=hear)
        thread.start()
        start(home)
        thread.join()
    assert ready == [True]


def test_a_second_start_does_nothing(home: Home) -> None:
    install(home, "a")
    start(home)
    before = pids(home)
    assert start(home) == lifecycle.Result(changed=False)
    assert pids(home) == before


def test_stop_ends_everything_and_a_second_stop_does_nothing(home: Home) -> None:
    install(home, "a")
    start(home)
    (pid,) = pids(home)["a"]
    assert lifecycle.stop(home) == lifecycle.Result(changed=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert lifecycle.stop(home) == lifecycle.Result(changed=False)
    assert status_of(home).state == "stopped"


def test_stop_where_there_is_no_home_does_nothing(home: Home) -> None:
    assert lifecycle.stop(home) == lifecycle.Result(changed=False)
    assert not home.path.exists()


def test_a_stopped_module_is_a_problem_to_status(home: Home) -> None:
    assert list(status_of(home).problems) == ["mfdata is not running"]
    assert not home.path.exists()


def test_start_names_what_fails_and_runs_the_rest(home: Home) -> None:
    install(home, "bad_code", main="import nowhere\n")
    install(home, "bad_config", "cuont = 2\n")
    install(home, "good")
    result = start(home)
    text = "\n".join(problem.message for problem in result.problems)
    assert 'bad_config/config.ini:5 [job_main] cuont: unknown key. Did you mean "count"?' in text
    assert "No module named 'nowhere'" in text
    found = status_of(home)
    assert found.state == "failing"
    assert {state.plugin: state.state for state in found.processes} == {"bad_code": "failing", "good": "running"}
    assert any(problem.startswith("job.bad_code is failing") for problem in found.problems)
    assert any(problem.startswith("plugin bad_config: ") for problem in found.problems)


def test_start_leaves_out_a_plugin_that_does_not_go_with_the_others(home: Home) -> None:
    install(home, "a", summary="does not go with the others")
    install(home, "b")
    (problem,) = start(home).problems
    assert problem.message == "a does not go with the others"
    assert list(pids(home)) == ["b"]


def test_nothing_is_started_with_a_faulty_configuration_of_the_module(home: Home) -> None:
    lifecycle.init(MODULE, home)
    (home.config / "config.ini").write_text("[place]\nfoldr = x\n")
    with pytest.raises(ConfigError, match="foldr"):
        start(home)
    assert not Supervisor(home).is_running()


def test_restart_leaves_all_running_when_the_configuration_is_faulty(home: Home) -> None:
    install(home, "a")
    start(home)
    before = pids(home)
    (home.config / "config.ini").write_text("[place]\nfoldr = x\n")
    with pytest.raises(ConfigError, match="foldr"):
        lifecycle.restart(MODULE, home)
    assert pids(home) == before


def test_stop_works_with_a_faulty_configuration(home: Home) -> None:
    install(home, "a")
    start(home)
    (home.config / "config.ini").write_text("no configuration")
    assert lifecycle.stop(home).changed


def test_restart_starts_all_anew(home: Home) -> None:
    install(home, "a")
    start(home)
    before = pids(home)
    assert lifecycle.restart(MODULE, home) == lifecycle.Result(changed=True)
    assert pids(home)["a"] != before["a"]


def test_applying_a_change_of_one_plugin_leaves_the_others_alone(home: Home) -> None:
    install(home, "a")
    install(home, "b")
    start(home)
    before = pids(home)
    install(home, "a", main=f"{WORKER}# changed\n")
    install(home, "c")
    assert apply(home) == lifecycle.Result(changed=True)
    after = pids(home)
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]
    assert after["c"]


def test_a_plugin_that_is_gone_runs_no_more_after_apply(home: Home) -> None:
    folder = install(home, "a")
    install(home, "b")
    start(home)
    folder.rename(home.path / "away")
    apply(home)
    assert list(pids(home)) == ["b"]


def test_what_is_not_applied_yet_is_a_problem_to_status(home: Home) -> None:
    install(home, "a")
    start(home)
    install(home, "b")
    assert list(status_of(home).problems) == ["job.b is configured, but not put in force yet"]


def test_apply_raises_the_fault_of_the_plugin_that_was_changed_and_changes_nothing(home: Home) -> None:
    install(home, "a")
    install(home, "b")
    start(home)
    before = pids(home)
    install(home, "a", "nonsense = 1\n")
    install(home, "b", main=f"{WORKER}# changed\n")
    with pytest.raises(ConfigError, match="nonsense"):
        apply(home, plugin="a")
    assert pids(home) == before


def test_a_plugin_whose_configuration_breaks_runs_on_undisturbed(home: Home) -> None:
    install(home, "a")
    install(home, "b")
    start(home)
    before = pids(home)
    install(home, "a", "nonsense = 1\n")
    install(home, "b", main=f"{WORKER}# changed\n")
    (problem,) = apply(home, plugin="b").problems
    assert "nonsense" in problem.message
    after = pids(home)
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    assert status_of(home).state == "failing"


def test_apply_waits_for_the_processes_of_the_changed_plugin_and_not_for_failing_ones(home: Home) -> None:
    install(home, "bad", main="import nowhere\n")
    start(home)
    install(home, "a")
    assert apply(home, plugin="a").problems == ()
    assert pids(home)["a"]


def test_apply_reports_a_changed_plugin_that_fails(home: Home) -> None:
    install(home, "a")
    start(home)
    install(home, "a", main="raise SystemExit('I will not')\n")
    (problem,) = apply(home, plugin="a").problems
    assert isinstance(problem, ServiceUnavailable)
    assert "I will not" in problem.message


def test_apply_where_nothing_runs_checks_only(home: Home) -> None:
    install(home, "a", "nonsense = 1\n")
    result = apply(home)
    assert not result.changed
    assert "nonsense" in result.problems[0].message
    assert not Supervisor(home).is_running()


def test_a_change_after_kill_of_everything_is_no_obstacle_to_a_start(home: Home) -> None:
    install(home, "a")
    start(home)
    (pid,) = pids(home)["a"]
    arbiter = int((home.run / "arbiter.lock").read_text())
    os.kill(arbiter, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Supervisor(home).is_running())
    assert status_of(home).state == "stopped"
    assert start(home) == lifecycle.Result(changed=True)
    assert status_of(home).state == "running"


def test_commands_wait_for_each_other(home: Home) -> None:
    install(home, "a")
    lifecycle.init(MODULE, home)
    results: list[lifecycle.Result] = []
    threads = [threading.Thread(target=lambda: results.append(start(home))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.changed for result in results) == [False, False, True]


def test_a_command_that_takes_too_long_is_named_to_the_next(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lifecycle.TURNS, "start", 0.1)
    lifecycle.init(MODULE, home)
    with exclusive(home.run / "apply.lock", "mfdata", "apply"), pytest.raises(Conflict, match=f"process {os.getpid()}"):
        start(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_home_of_another_user_is_left_alone(home: Home) -> None:
    install(home, "a")
    os.chown(home.path, 12345, -1)
    before = sorted(home.path.rglob("*"))
    acts: list[Callable[[Home], object]] = [start, apply, lifecycle.stop, status_of, partial(lifecycle.init, MODULE)]
    for act in acts:
        with pytest.raises(NotAllowed, match="belongs to user 12345"):
            act(home)
    assert sorted(home.path.rglob("*")) == before


def test_a_home_that_cannot_be_made_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MetworkError, match="is not a folder"):
        start(Home("mfdata", tmp_path / "file/mfdata"))


def test_what_cannot_be_published_is_a_problem_of_a_start_that_runs(home: Home) -> None:
    def publish(*_: object) -> None:
        raise ServiceUnavailable("the rules are not taken")

    install(home, "a")
    result = lifecycle.start(replace(MODULE, publish=publish), home)
    assert [problem.message for problem in result.problems] == ["the rules are not taken"]
    assert pids(home)["a"]


def test_nothing_is_started_or_stopped_while_something_that_must_be_there_is_missing(home: Home) -> None:
    def missing(*_: object) -> list[MetworkError]:
        return [ServiceUnavailable("libfoo is not there", mend="Install foo.")]

    install(home, "a")
    lacking = replace(MODULE, missing=missing)
    with pytest.raises(ServiceUnavailable, match=r"libfoo is not there\. Install foo\."):
        lifecycle.start(lacking, home, timeout=60.0)
    assert not Supervisor(home).is_running()
    assert "libfoo is not there. Install foo." in status(lacking, home).problems
    start(home)
    before = pids(home)
    with pytest.raises(ServiceUnavailable, match="libfoo"):
        lifecycle.restart(lacking, home, timeout=60.0)
    assert pids(home) == before
    found = status(lacking, home)
    assert (found.state, list(found.problems)) == ("failing", ["libfoo is not there. Install foo."])
    assert [error.found for error in lifecycle.apply(lacking, home, timeout=60.0).problems] == ["libfoo is not there"]


def test_a_secret_that_others_may_read_is_a_warning_of_status(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install(home, "a", main=WORKER)
    with (folder / "config.ini").open("a") as config:
        config.write("[custom]\npassword = s3cret\n")
    monkeypatch.setattr("mfext.configuration.exposed_secrets.may_be_read_by_others", lambda _: True)
    found = status_of(home)
    assert [warning.partition(": ")[2].partition(".")[0] for warning in found.warnings] == [
        "a secret that every user of this machine may read"
    ]
    assert found.has_trouble
