"""The supervisor with the real circus and real processes."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import ConfigError, Conflict, ServiceUnavailable
from mfext.lifecycle.status import notes
from mfext.supervision.cgroup import own_cgroup
from mfext.supervision.exits import exit_of, exits_of
from mfext.supervision.launch import Definition
from mfext.supervision.process import Process
from mfext.supervision.process_state import ProcessState
from mfext.supervision.procfs import leftovers
from mfext.supervision.supervisor import Supervisor
from mfext.testing import temporary_home, wait_until

#: A process of ours. It writes down what it hears; what it has in hand takes WORK seconds, or until there are ENOUGH
#: files in the folder TOGETHER, of which it makes one.
WORKER = """
import os, sys, time
from mfext.mainloop import Mainloop
with Mainloop() as loop:
    loop.ready(name=loop.process)
    while not loop.stopping:
        loop.wait()
        if loop.draining and not loop.stopping:
            print("draining", flush=True)
            time.sleep(float(os.environ.get("WORK", "0")))
            if together := os.environ.get("TOGETHER"):
                open(f"{together}/{loop.process}", "w").close()
                while len(os.listdir(together)) < int(os.environ["ENOUGH"]):
                    time.sleep(0.01)
            print("work is done", flush=True)
            loop.drained()
print("stopped", flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


@pytest.fixture
def supervisor(home: Home) -> Iterator[Supervisor]:
    made = Supervisor(home)
    yield made
    made.stop(drain_timeout=1)
    assert leftovers(home) == []


@pytest.fixture
def worker(tmp_path: Path) -> Process:
    """A process of ours called step.a.main; others are made of it with replace()."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return Process("step.a.main", (sys.executable, str(script)), tmp_path, plugin="a", graceful_timeout=5)


def sleeper(name: str = "sleeper", seconds: int = 1000) -> Process:
    """A process that knows nothing of us."""
    return Process(name, ("sleep", str(seconds)), Path("/"), reports_ready=False, graceful_timeout=2)


def shell(name: str, script: str) -> Process:
    """A process that knows nothing of us; what it sets up first is waited for when the script then says ``up``."""
    return Process(name, ("sh", "-c", script), Path("/"), reports_ready=False, graceful_timeout=1)


def run(supervisor: Supervisor, *processes: Process) -> None:
    """Start *processes* and wait for them, without the second after which one that says nothing counts as ready."""
    supervisor.start(processes)
    supervisor.wait_ready([process.name for process in processes if process.reports_ready], timeout=60)
    wait_until(lambda: all(is_up(supervisor.home, process) for process in processes), what="all are up")


def is_up(home: Home, process: Process) -> bool:
    sign = "up\n" if "echo up" in process.command[-1] else "== "
    return sign in output(home, process.name)


def state(supervisor: Supervisor, name: str) -> ProcessState:
    return next(found for found in supervisor.states() if found.name == name)


def state_when_failing(supervisor: Supervisor, name: str) -> ProcessState:
    wait_until(lambda: state(supervisor, name).state == "failing", what=f"{name} fails")
    return state(supervisor, name)


def pids(supervisor: Supervisor) -> dict[str, tuple[int, ...]]:
    return {found.name: found.pids for found in supervisor.states()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def arbiter_of(home: Home) -> int:
    return int((home.run / "arbiter.lock").read_text())


def content(path: Path) -> bytes:
    """What is in the file; nothing when it has gone meanwhile, or is not for us."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def output(home: Home, name: str) -> str:
    path = home.log / f"{name}.out"
    return path.read_text() if path.exists() else ""


class TestStart:
    def test_all_that_shall_run_is_ready_and_says_so(self, supervisor: Supervisor, worker: Process) -> None:
        assert not supervisor.is_running()
        assert supervisor.states() == []
        supervisor.start([replace(worker, numprocesses=2), sleeper()])
        supervisor.wait_ready(timeout=60)
        assert supervisor.is_running()
        found = state(supervisor, "step.a.main")
        assert (found.state, found.plugin, len(found.ready), found.reason) == ("running", "a", 2, "")
        assert [facts["name"] for facts in found.facts.values()] == ["step.a.main"] * 2
        assert found.rss > 1_000_000
        assert state(supervisor, "sleeper").state == "running"

    def test_a_second_start_is_refused(self, supervisor: Supervisor) -> None:
        run(supervisor, sleeper())
        before = pids(supervisor)
        with pytest.raises(Conflict, match="already running"):
            supervisor.start([sleeper()])
        assert pids(supervisor) == before

    def test_of_many_starts_at_once_one_wins(self, supervisor: Supervisor, home: Home) -> None:
        code = f"""
from pathlib import Path
from mfext.environment import Home
from mfext.supervision.supervisor import Supervisor
Supervisor(Home("mfdata", Path({str(home.path)!r}))).start([])
"""
        starts = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
        said = [start.communicate(timeout=60)[1] for start in starts]
        assert sorted(start.returncode for start in starts) == [0, 1, 1, 1]
        assert sum(b"already running" in text for text in said) == 3

    def test_who_is_not_ready_is_named_with_the_reason_and_the_last_lines(
        self, supervisor: Supervisor, worker: Process
    ) -> None:
        supervisor.start(
            [worker, shell("broken", "echo no such module; exit 3"), replace(sleeper("hangs"), reports_ready=True)]
        )
        supervisor.wait_ready(["step.a.main"], timeout=60)
        state_when_failing(supervisor, "broken")
        with pytest.raises(ServiceUnavailable) as caught:
            supervisor.wait_ready(timeout=0)
        message = caught.value.message
        assert re.search(r"broken: exit status 3, \d+\.\d s after its start", message)
        assert "| no such module" in message
        assert "hangs: not ready yet" in message
        assert "step.a.main" not in message
        assert state(supervisor, "step.a.main").state == "running"

    def test_waiting_ends_when_all_that_is_not_ready_fails_again_and_again(self, supervisor: Supervisor) -> None:
        # It says when it is ready, which it never is: otherwise it would be while it lives.
        supervisor.start([replace(shell("broken", "kill -SEGV $$"), reports_ready=True)])
        with pytest.raises(ServiceUnavailable, match="broken: killed by SIGSEGV"):
            supervisor.wait_ready(timeout=100_000)

    def test_a_program_that_is_not_there_is_named(self, supervisor: Supervisor) -> None:
        supervisor.start([Process("a", ("no-such-program",), Path("/"))])
        with pytest.raises(ServiceUnavailable, match="cannot start: program 'no-such-program'"):
            supervisor.wait_ready(timeout=60)

    def test_an_arbiter_that_cannot_start_is_quoted(
        self, supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mfext" / "supervision").mkdir(parents=True)
        (tmp_path / "mfext" / "__init__.py").touch()
        (tmp_path / "mfext" / "supervision" / "__init__.py").touch()
        (tmp_path / "mfext" / "supervision" / "arbiter.py").write_text("raise ImportError('no circus here')")
        monkeypatch.setattr("mfext.supervision.supervisor.SOFTWARE", tmp_path)
        with pytest.raises(ServiceUnavailable, match="no circus here"):
            supervisor.start([sleeper()])
        assert not supervisor.is_running()

    @pytest.mark.parametrize("names", [("a-b.c", "A-B.c", "x" * 200), ("step.a b.ü", "-x", "a~b")])
    def test_names_of_all_kinds_work(self, supervisor: Supervisor, worker: Process, names: tuple[str, ...]) -> None:
        run(supervisor, *(replace(worker, name=name) for name in names))
        assert sorted(pids(supervisor)) == sorted(names)
        assert {facts["name"] for found in supervisor.states() for facts in found.facts.values()} == set(names)

    @pytest.mark.parametrize("names", [("",), ("a/b",), ("$(circus.wid)",), (".a",), ("x" * 201,), ("a", "a")])
    def test_names_that_cannot_work_are_refused_before_anything_starts(
        self, supervisor: Supervisor, names: tuple[str, ...]
    ) -> None:
        with pytest.raises(ConfigError):
            supervisor.start([sleeper(name) for name in names])
        assert not supervisor.is_running()

    def test_arguments_reach_the_command_as_they_are(self, supervisor: Supervisor, home: Home) -> None:
        arguments = ("$(circus.wid)", "((circus.env.home))", "$HOME", "a b", "", "'\"", "\n", "caf\udce9")
        code = "import sys, time; print(sys.argv[1:], flush=True); time.sleep(1000)"
        supervisor.start([replace(sleeper("a"), command=(sys.executable, "-c", code, *arguments))])
        wait_until(lambda: repr(list(arguments)) in output(home, "a"), what="the arguments")

    def test_a_deep_home_and_another_beside_it_run_at_once(self, tmp_path: Path, worker: Process) -> None:
        deep = tmp_path / ("d" * (200 - len(str(tmp_path))))
        supervisors = [Supervisor(temporary_home(folder)) for folder in (deep, tmp_path / "other")]
        try:
            for supervisor in supervisors:
                run(supervisor, worker)
            assert supervisors[0].stop()
            assert supervisors[1].is_running()
            assert state(supervisors[1], "step.a.main").state == "running"
        finally:
            for supervisor in supervisors:
                supervisor.stop()

    def test_what_shall_not_start_with_the_module_is_known_and_stopped(self, supervisor: Supervisor) -> None:
        supervisor.start([replace(sleeper("a"), autostart=False), replace(sleeper("b"), numprocesses=0)])
        assert [(found.name, found.state, found.pids, found.wanted) for found in supervisor.states()] == [
            ("a", "stopped", (), 0),
            ("b", "stopped", (), 0),
        ]

    def test_limits_environment_and_output_are_as_declared(self, supervisor: Supervisor, home: Home) -> None:
        script = "echo $METWORK_PROCESS $MFMODULE $METWORK_HOME $SECRET; ulimit -n; echo error >&2; exec sleep 1000"
        process = replace(shell("a", script), rlimits={"nofile": 77}, environment={"SECRET": "xyzzy"})
        supervisor.start([process])
        expected = [f"a MFDATA {home.path.parent} xyzzy", "77", "error"]
        wait_until(lambda: output(home, "a").splitlines()[1:] == expected, what="the output")

    def test_secrets_are_not_for_others_to_read(self, supervisor: Supervisor, home: Home, worker: Process) -> None:
        run(supervisor, replace(worker, environment={"SECRET": "xyzzy"}))
        lines = [content(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert any(lines)
        assert not any(b"xyzzy" in line for line in lines)
        for path in home.path.rglob("*"):
            if path.is_file() and b"xyzzy" in content(path):
                assert path.stat().st_mode & 0o077 == 0, path
        supervisor.stop()
        assert not any(b"xyzzy" in path.read_bytes() for path in home.path.rglob("*") if path.is_file())

    def test_nothing_listens_on_the_network(self, supervisor: Supervisor, home: Home) -> None:
        run(supervisor, sleeper())
        with suppress(ImportError):
            import psutil

            found = psutil.Process(arbiter_of(home)).net_connections(kind="inet")
            assert [link for link in found if link.family in (socket.AF_INET, socket.AF_INET6)] == []


class TestStop:
    def test_work_in_hand_is_finished_and_nothing_is_left(
        self, supervisor: Supervisor, home: Home, worker: Process, tmp_path: Path
    ) -> None:
        (tmp_path / "together").mkdir()
        # They drain at the same time: none is done before all have begun.
        work = {"TOGETHER": str(tmp_path / "together"), "ENOUGH": "3"}
        run(
            supervisor,
            *(replace(worker, name=name, environment=work, graceful_timeout=60) for name in "abc"),
            sleeper(),
        )
        assert supervisor.stop()
        for name in "abc":
            assert output(home, name).splitlines()[1:] == ["draining", "work is done", "stopped"]
        assert not supervisor.is_running()
        assert leftovers(home) == []
        assert not (home.run / "ready").exists()

    def test_who_does_not_end_in_time_is_killed(self, supervisor: Supervisor, worker: Process) -> None:
        deaf = shell("deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done")
        busy = replace(worker, environment={"WORK": "100000"}, graceful_timeout=1)
        run(supervisor, deaf, busy)
        supervisor.stop()
        assert [exits_of(supervisor.home, name)[-1].overdue for name in ("deaf", busy.name)] == [True, True]

    def test_a_shorter_time_can_be_given(self, supervisor: Supervisor, worker: Process) -> None:
        run(supervisor, replace(worker, environment={"WORK": "100000"}, graceful_timeout=100_000))
        supervisor.stop(drain_timeout=0.5)
        assert exits_of(supervisor.home, worker.name)[-1].overdue

    def test_stopping_what_is_stopped_does_nothing(self, supervisor: Supervisor) -> None:
        assert supervisor.stop() is False

    def test_it_can_be_started_again(self, supervisor: Supervisor, worker: Process) -> None:
        for _ in range(3):
            run(supervisor, worker)
            assert supervisor.stop()

    def test_a_signal_to_the_arbiter_does_the_same(self, supervisor: Supervisor, home: Home, worker: Process) -> None:
        run(supervisor, replace(worker, environment={"WORK": "0.2"}))
        os.kill(arbiter_of(home), signal.SIGTERM)
        wait_until(lambda: not supervisor.is_running(), what="the end of the arbiter")
        assert output(home, "step.a.main").splitlines()[1:] == ["draining", "work is done", "stopped"]

    def test_an_arbiter_that_hangs_is_killed(
        self, supervisor: Supervisor, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(supervisor, sleeper())
        monkeypatch.setattr("mfext.supervision.supervisor._ANSWER", 0.2)
        monkeypatch.setattr("mfext.supervision.supervisor._END", 0.2)
        os.kill(arbiter_of(home), signal.SIGSTOP)
        assert supervisor.stop()
        assert leftovers(home) == []


def test_limits_of_a_cgroup_are_in_force_or_status_says_that_they_are_not(
    supervisor: Supervisor, worker: Process
) -> None:
    run(supervisor, replace(worker, cgroup={"memory_max": 500_000_000, "tasks_max": 0}), sleeper())
    found = state(supervisor, worker.name)
    inside = f"metwork.{worker.name}" in Path(f"/proc/{found.pids[0]}/cgroup").read_text()
    assert (inside, found.unforced) in ((True, ""), (False, "memory_max not in force: no delegated cgroup"))
    assert inside == (own_cgroup() is not None)
    assert state(supervisor, "sleeper").unforced == ""
    assert notes([found], time.time()) == ([] if inside else [f"{worker.name}: {found.unforced}"])


class TestDeath:
    def test_a_killed_process_is_back_at_once_and_its_signal_is_known(
        self, supervisor: Supervisor, home: Home, worker: Process
    ) -> None:
        begin = time.monotonic()
        run(supervisor, worker)
        start = time.monotonic() - begin
        (pid,) = state(supervisor, "step.a.main").pids
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in (found := state(supervisor, "step.a.main")).pids and found.ready)
        # What a start takes this machine now, in which the arbiter starts as well; circus alone looks every 5 s.
        assert time.monotonic() - begin < 1 + 3 * start
        end = exit_of(home, "step.a.main", pid)
        assert end
        assert not end.overdue
        assert (end.signal, end.status, end.asked, end.ready) == ("SIGKILL", None, False, True)
        assert state(supervisor, "step.a.main").restarts == 1
        assert not (home.run / "ready" / "step.a.main" / str(pid)).exists()

    def test_what_a_dead_process_had_started_is_killed(self, supervisor: Supervisor) -> None:
        run(supervisor, shell("a", "sleep 4321 & echo up; wait"))
        (pid,) = state(supervisor, "a").pids
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(int(child)), what="the end of the child")

    def test_children_die_with_a_killed_arbiter_and_the_next_start_cleans_up(
        self, supervisor: Supervisor, home: Home, worker: Process
    ) -> None:
        run(supervisor, worker, shell("b", "setsid sleep 4321 & echo up; exec sleep 1000"))
        lived = [pid for found in pids(supervisor).values() for pid in found]
        os.kill(arbiter_of(home), signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, lived)), what="the end of the children")
        wait_until(lambda: not supervisor.is_running())
        assert len(leftovers(home)) == 1, "a grandchild in a session of its own"
        with pytest.raises(ServiceUnavailable, match="does not run"):
            supervisor.apply([worker])
        run(supervisor, worker)
        assert [pid for pid in leftovers(home) if pid not in pids(supervisor)["step.a.main"]] == []

    def test_stop_cleans_up_after_a_killed_arbiter(self, supervisor: Supervisor, home: Home) -> None:
        run(supervisor, shell("b", "setsid sleep 4321 & echo up; exec sleep 1000"))
        os.kill(arbiter_of(home), signal.SIGKILL)
        wait_until(lambda: not supervisor.is_running())
        supervisor.stop()
        assert leftovers(home) == []

    def test_a_stale_pid_is_not_believed(self, supervisor: Supervisor, home: Home) -> None:
        (home.run / "arbiter.lock").write_text(str(os.getpid()))
        assert not supervisor.is_running()
        run(supervisor, sleeper())

    def test_who_asks_whether_it_runs_does_not_hinder_a_start(self, supervisor: Supervisor, home: Home) -> None:
        lock = os.open(home.run / "arbiter.lock", os.O_RDONLY | os.O_CREAT)
        code = f"import fcntl, time; fcntl.flock({lock}, fcntl.LOCK_SH); print(flush=True); time.sleep(1)"
        with subprocess.Popen([sys.executable, "-c", code], pass_fds=[lock], stdout=subprocess.PIPE) as other:
            os.close(lock)
            assert other.stdout
            other.stdout.readline()
            run(supervisor, sleeper())

    def test_what_ends_and_shall_not_be_started_again_is_stopped_or_failing(self, supervisor: Supervisor) -> None:
        well, ill = (
            replace(shell(name, f"exit {status}"), respawn=False) for name, status in (("well", 0), ("ill", 1))
        )
        supervisor.start([well, ill])
        wait_until(lambda: [found.state for found in supervisor.states()] == ["failing", "stopped"])
        assert state(supervisor, "ill").reason.startswith("exit status 1")

    def test_a_failing_process_is_held_back_and_harms_nobody(
        self, supervisor: Supervisor, home: Home, worker: Process, tmp_path: Path
    ) -> None:
        supervisor.start([worker, shell("bad", f"echo x >> {tmp_path}/starts; exit 1")])
        bad = state_when_failing(supervisor, "bad")
        assert re.search(r"failed \d times in a row", bad.reason)
        assert bad.last_exit
        assert bad.last_exit.status == 1
        wait_until(lambda: len(exits_of(home, "bad")) >= 4, what="a fourth try")
        third, fourth = exits_of(home, "bad")[2:4]
        assert fourth.started - third.time >= 1.999, "written as milliseconds"
        assert (tmp_path / "starts").read_text().startswith("x\n" * 4)
        supervisor.wait_ready(["step.a.main"], timeout=60)
        assert state(supervisor, "step.a.main").restarts == 0

    def test_a_mended_process_starts_at_once(self, supervisor: Supervisor, home: Home) -> None:
        def not_before() -> float:
            return Definition.decoded((home.run / "processes" / "bad").read_bytes()).not_before

        supervisor.start([shell("bad", "exit 1")])
        wait_until(lambda: state(supervisor, "bad").state == "failing" and not_before(), what="it is held back")
        assert supervisor.apply([shell("bad", "exec sleep 1000")]) == ["bad"]
        assert not_before() == 0
        supervisor.wait_ready()

    def test_an_output_file_that_grows_too_large_is_cut(self, supervisor: Supervisor, home: Home) -> None:
        supervisor.log = replace(supervisor.log, max_size=10_000)
        supervisor.start([shell("a", "seq 100000; exec sleep 1000")])
        kept = home.log / "a.out.1"
        wait_until(lambda: kept.exists() and len(output(home, "a")) < 10_000, what="the cut")
        assert kept.stat().st_size == 10_000


class TestApply:
    def test_only_what_differs_is_touched(self, supervisor: Supervisor, home: Home, worker: Process) -> None:
        kept, changed, removed, added = (replace(worker, name=name) for name in ("kept", "changed", "removed", "added"))
        run(supervisor, kept, changed, removed)
        before = pids(supervisor)
        started = supervisor.apply([kept, replace(changed, fingerprint="2"), added])
        supervisor.wait_ready(started, timeout=60)
        after = pids(supervisor)
        assert sorted(started) == ["added", "changed"]
        assert sorted(after) == ["added", "changed", "kept"]
        assert after["kept"] == before["kept"]
        assert after["changed"] != before["changed"]
        assert not is_alive(before["removed"][0])
        assert output(home, "changed").splitlines()[1:4] == ["draining", "work is done", "stopped"]
        assert "work is done" not in output(home, "kept")

    def test_nothing_is_touched_when_nothing_differs(self, supervisor: Supervisor, worker: Process) -> None:
        run(supervisor, worker, sleeper())
        before = pids(supervisor)
        assert supervisor.apply([sleeper(), worker]) == []
        assert pids(supervisor) == before

    def test_others_are_started_again_while_one_takes_long_to_drain(
        self, supervisor: Supervisor, worker: Process, tmp_path: Path
    ) -> None:
        slow, other = (replace(worker, name=name) for name in ("slow", "other"))
        work = {"TOGETHER": str(tmp_path / "together"), "ENOUGH": "2"}
        slow = replace(slow, environment=work, graceful_timeout=100)
        (tmp_path / "together").mkdir()
        deaf = shell("deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done")
        run(supervisor, slow, other, replace(deaf, graceful_timeout=1.5))
        code = "from pathlib import Path; from mfext.environment import Home\n"
        code += "from mfext.supervision.supervisor import Supervisor\n"
        code += "from mfext.supervision.process import Process\n"
        code += f"Supervisor(Home('mfdata', Path({str(supervisor.home.path)!r})))"
        code += f".apply([Process.from_json({other.as_json()!r})])"
        with subprocess.Popen([sys.executable, "-c", code]) as apply:
            wait_until(lambda: "draining" in output(supervisor.home, "slow"))
            (pid,) = state(supervisor, "other").pids
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in (found := state(supervisor, "other")).pids and found.ready)
            assert apply.poll() is None, "the others still drain"
            (tmp_path / "together" / "enough").touch()
        assert apply.returncode == 0
        assert sorted(pids(supervisor)) == ["other"]

    def test_more_and_fewer_processes_leave_the_oldest_alone(self, supervisor: Supervisor, worker: Process) -> None:
        run(supervisor, replace(worker, numprocesses=2))
        two = pids(supervisor)["step.a.main"]
        supervisor.apply([replace(worker, numprocesses=4)])
        supervisor.wait_ready(timeout=60)
        four = pids(supervisor)["step.a.main"]
        assert len(four) == 4
        assert four[:2] == two
        supervisor.apply([replace(worker, numprocesses=1)])
        assert pids(supervisor)["step.a.main"] == two[:1]
        supervisor.apply([replace(worker, numprocesses=0)])
        assert pids(supervisor)["step.a.main"] == ()
        supervisor.apply([replace(worker, numprocesses=1)])
        supervisor.wait_ready(timeout=60)

    def test_other_settings_change_without_a_restart(self, supervisor: Supervisor, worker: Process) -> None:
        run(supervisor, worker)
        before = pids(supervisor)
        assert supervisor.apply([replace(worker, respawn=False, graceful_timeout=1)]) == []
        assert pids(supervisor) == before
        os.kill(before["step.a.main"][0], signal.SIGKILL)
        wait_until(lambda: state(supervisor, "step.a.main").state == "failing")

    def test_starting_with_the_module_can_be_switched_off_and_on(self, supervisor: Supervisor, worker: Process) -> None:
        run(supervisor, worker)
        supervisor.apply([replace(worker, autostart=False)])
        assert state(supervisor, "step.a.main").state == "stopped"
        supervisor.apply([worker])
        supervisor.wait_ready(timeout=60)

    def test_it_needs_a_running_module(self, supervisor: Supervisor) -> None:
        with pytest.raises(ServiceUnavailable, match="does not run"):
            supervisor.apply([])
        with pytest.raises(ServiceUnavailable, match="has ended"):
            supervisor.wait_ready()

    def test_everything_can_be_taken_away(self, supervisor: Supervisor, worker: Process) -> None:
        run(supervisor, worker)
        supervisor.apply([])
        assert supervisor.states() == []
        assert supervisor.is_running()


class TestDevLinks:
    def test_a_change_in_a_dev_linked_plugin_is_applied(
        self, supervisor: Supervisor, home: Home, tmp_path: Path
    ) -> None:
        plugin = tmp_path / "plugin"
        (plugin / "lib").mkdir(parents=True)
        applied = home.log / "apply.out"
        run(supervisor, sleeper())
        (home.plugins / "plugin").symlink_to(plugin)
        supervisor.apply([sleeper()])
        (plugin / "README.md").write_text("no code")
        (plugin / "lib" / "x.py").write_text("1")
        wait_until(lambda: "== " in output(home, "apply"), what="apply")
        assert applied.read_text().count("== ") == 1


def test_the_lock_is_held_for_the_life_of_the_arbiter_only(supervisor: Supervisor, home: Home) -> None:
    run(supervisor, sleeper())
    lock = os.open(home.run / "arbiter.lock", os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    supervisor.stop()
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
