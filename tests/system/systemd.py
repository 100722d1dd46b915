"""The units of the RPMs under a systemd that runs them: boot, stop, kill, upgrade, removal, limits.

It happens in a copy of the machine with a systemd of its own: the machine stays as it was, and needs none that runs.
``make systemd`` runs it; for ``make test`` it takes too long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.system.booted import Booted, booted
from tests.system.installed import FLOW, add_plugin, as_mfdata, kept
from tests.system.machine import Unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: With mfserv, which needs the router's program to start well.
INSTALL = "rpm -Uvh /mnt/{}/*.rpm </dev/null"
INCOMING = "/home/mfdata/var/in/incoming"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, rpms: Path) -> Iterator[Booted]:
    """A machine with release 1 and the plugin ``keep`` where the modules are started at boot."""
    try:
        with booted(tmp_path_factory.mktemp("machine"), rpms) as made:
            made.run(INSTALL.format(1))
            made.run("systemctl enable --now metwork.target")
            add_plugin(made)
            yield made
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def running(server: Booted) -> Booted:
    """The same, with all modules running whatever the test before has done."""
    if server.try_to("rpm -q --quiet metwork-mfdata metwork-mfserv").returncode:
        server.run(INSTALL.format(1))
    server.run("systemctl start metwork.target")
    wait_until(lambda: arbiter(server), timeout=60, what="mfdata")
    server.run("rm -rf /home/mfdata/kept /tmp/flow")
    return server


def arbiter(machine: Booted, module: str = "mfdata") -> int:
    """Pid of the main process of a unit that is active; 0 when it is not."""
    asked = machine.run(f"systemctl show --property=ActiveState,MainPID --value metwork-{module}")
    pid, state = sorted(asked.split())
    return int(pid) if state == "active" else 0


def arbiters(machine: Booted) -> list[int]:
    """The pids of all that supervise mfdata."""
    return [int(pid) for pid in machine.try_to("pgrep -f '[m]fext.arbiter mfdata '").stdout.split()]


def start_flow(machine: Booted) -> None:
    machine.run(FLOW)
    wait_until(lambda: count(machine) > 50, timeout=30, what="a flow")


def end_flow(machine: Booted) -> None:
    """End it some files from now: each of its files has got where it should be."""
    now = count(machine)
    wait_until(lambda: count(machine) > now + 50, timeout=30, what="more of the flow")
    machine.run("rm /tmp/flow")
    wait_until(lambda: not machine.run(f"ls {INCOMING}"), timeout=60, what="the last file")
    wait_until(lambda: kept(machine) == count(machine), timeout=60, what=f"{count(machine)} files")
    assert json.loads(as_mfdata(machine, "mfdata.inventory --json"))["missing"] == []


def count(machine: Booted) -> int:
    return int(machine.run("cat /tmp/count"))


def test_the_target_runs_all_modules(running: Booted) -> None:
    assert arbiters(running) == [arbiter(running)]
    running.run("systemctl is-active metwork-mfdata metwork-mfserv metwork.target")
    running.run(f"echo hello > /home/mfdata/.part; mv /home/mfdata/.part {INCOMING}/hello.txt")
    wait_until(lambda: running.try_to("grep -r hello /home/mfdata/kept").returncode == 0, what="the file")
    assert running.run("rpm -V metwork-mfext metwork-mfdata metwork-mfserv") == ""


def test_a_module_says_itself_when_it_is_ready_and_has_no_rights_to_spare(running: Booted) -> None:
    shown = running.run("systemctl show --property=Type,NotifyAccess metwork-mfdata metwork-mfserv").split()
    assert sorted(shown) == ["NotifyAccess=all"] * 2 + ["Type=notify"] * 2
    # Not those of a session of the user.
    pids = running.run("pgrep -u mfdata --full /opt/metwork").split()
    assert len(pids) > 3
    assert "NoNewPrivs:\t1" in running.run(f"cat /proc/{arbiter(running)}/status")
    told = running.try_to(f"grep -l NOTIFY_SOCKET /proc/[0-9]*/environ | grep -E '/({'|'.join(pids)})/'").stdout
    assert told == ""


def test_restart_kill_stop_and_start_under_a_flow_lose_nothing(running: Booted) -> None:
    start_flow(running)
    first = arbiter(running)
    running.run("systemctl restart metwork-mfdata")
    second = arbiter(running)
    assert second not in {0, first}
    running.run(f"kill -9 {second}")
    third = wait_until(lambda: {0, second} - {arbiter(running)} == {0, second} and arbiter(running), 60, "mfdata")
    assert arbiters(running) == [third]
    # Naming the units makes systemctl wait for them; for the target alone it would not.
    running.run("systemctl stop 'metwork*'")
    assert arbiters(running) == []
    assert running.try_to("pgrep -u mfserv --full /opt/metwork").stdout == ""
    running.run("systemctl start metwork.target")
    end_flow(running)


def test_what_was_started_by_hand_is_taken_over_and_never_runs_twice(running: Booted) -> None:
    running.run("systemctl stop metwork-mfdata")
    as_mfdata(running, "mfdata.start")
    by_hand = arbiters(running)
    start_flow(running)
    running.run("systemctl start metwork-mfdata")
    assert len(by_hand) == 1
    assert arbiters(running) == [arbiter(running)] != by_hand
    end_flow(running)


def test_a_restart_by_hand_is_not_undone(running: Booted) -> None:
    as_mfdata(running, "mfdata.restart")
    wait_until(
        lambda: running.try_to("systemctl is-active metwork-mfdata").stdout == "inactive\n",
        timeout=30,
        what="the end of the unit",
    )
    assert len(arbiters(running)) == 1
    running.run("systemctl start metwork-mfdata")
    assert arbiters(running) == [arbiter(running)]


def test_a_faulty_plugin_stops_no_other(running: Booted) -> None:
    as_mfdata(running, "bootstrap_plugin.py create --no-input bad && cd bad && make develop")
    running.run("echo 'raise SystemExit(3)' > /home/mfdata/bad/main.py")
    try:
        running.run("systemctl restart metwork-mfdata")
        assert arbiter(running)
        start_flow(running)
        end_flow(running)
        assert "step.bad.main" in running.run("journalctl --unit=metwork-mfdata")
    finally:
        as_mfdata(running, "plugins.uninstall bad; rm -rf bad")


def test_a_faulty_configuration_is_tried_again_until_it_is_mended(running: Booted) -> None:
    running.run("echo nonsense >> /etc/metwork.config.d/mfdata/config.ini")
    assert running.try_to("systemctl restart metwork-mfdata").returncode
    assert "is not understood" in running.run("journalctl --unit=metwork-mfdata")
    assert arbiters(running) == []
    running.run("sed -i /nonsense/d /etc/metwork.config.d/mfdata/config.ini")
    wait_until(lambda: arbiter(running), timeout=60, what="mfdata")


def test_an_upgrade_under_a_flow_is_a_restart_by_systemd(running: Booted) -> None:
    start_flow(running)
    data, serv = arbiter(running), arbiter(running, "mfserv")
    running.run(INSTALL.format(2))
    assert "-2" in running.run("rpm -q metwork-mfdata")
    assert arbiter(running) not in {0, data}
    assert arbiter(running, "mfserv") not in {0, serv}
    assert arbiters(running) == [arbiter(running)]
    end_flow(running)


def test_limits_of_a_step_are_kept_by_a_cgroup_below_that_of_the_unit(running: Booted) -> None:
    there = running.run("cat /sys/fs/cgroup/cgroup.controllers").split()
    if missing := {"cpu", "memory", "pids"} - set(there):
        pytest.skip(f"cgroup version 2 has no {', '.join(sorted(missing))} here: version 1 has taken them")
    section = "[step_main]\\nmemory_max = 204800000\\ntasks_max = 40\\ncpu_max = 0.5\\n"
    override = "/home/mfdata/config/plugins/keep.ini"
    as_mfdata(running, f'printf "{section}" > {override}')
    try:
        running.run("systemctl restart metwork-mfdata")
        leaf = "/sys/fs/cgroup/system.slice/metwork-mfdata.service/metwork.step.keep.main"
        assert running.run(f"cd {leaf} && cat memory.max pids.max cpu.max").split() == [
            "204800000",
            "40",
            "50000",
            "100000",
        ]
        assert running.run(f"cat {leaf}/cgroup.procs").split()
        assert "not in force" not in as_mfdata(running, "mfdata.status")
        running.run("systemctl restart metwork-mfdata")
        assert arbiter(running)
    finally:
        running.run(f"rm {override}; systemctl restart metwork-mfdata")


def test_after_a_reboot_all_runs_and_what_waited_is_done(running: Booted) -> None:
    running.run("systemctl stop metwork-mfdata")
    running.run(f"echo waited > {INCOMING}/waited.txt")
    running.reboot()
    running.run("systemctl is-active metwork-mfdata metwork-mfserv metwork.target")
    wait_until(lambda: running.try_to("grep -r waited /home/mfdata/kept").returncode == 0, what="the file")


def test_removal_stops_all_and_leaves_no_unit(running: Booted) -> None:
    # Whatever has run till now, nothing of what was delivered is another: one test has edited a file, and back.
    assert running.run("rpm -V --nomtime metwork-mfext metwork-mfdata metwork-mfserv") == ""
    said = running.run("rpm -e metwork-mfdata metwork-mfserv metwork-mfext")
    assert "/home/mfdata with all data is kept" in said
    assert arbiters(running) == []
    assert running.run("systemctl list-units --all --plain --no-legend 'metwork*'") == ""
    assert running.run("find /etc/systemd /usr/lib/systemd /run -name 'metwork*'") == ""
    running.run("systemctl enable metwork.target 2>/dev/null && exit 1; exit 0")
