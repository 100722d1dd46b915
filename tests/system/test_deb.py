"""The .deb of the modules, as an administrator of a Debian meets them, in a copy of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.system.installed import FLOW, NAMES, add_plugin, as_mfdata, build, kept
from tests.system.machine import Machine, Unavailable, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INSTALL = "dpkg -i /mnt/{}/*.deb </dev/null"


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two releases, ``1`` and ``2``."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("this is no Debian")
    folder = tmp_path_factory.mktemp("debs")
    for release in ("1", "2"):
        build(folder / release, release, "--deb", *NAMES)
    return folder


@pytest.fixture
def installed(tmp_path: Path, debs: Path) -> Iterator[Machine]:
    """A machine with release 1."""
    (tmp_path / "machine").mkdir()
    try:
        with machine(tmp_path / "machine", debs) as made:
            made.run(INSTALL.format(1))
            yield made
    except Unavailable as error:
        pytest.skip(str(error))


def test_it_is_installed_verified_and_runs(installed: Machine) -> None:
    as_mfdata(installed, "mfdata.start")
    said = as_mfdata(installed, "mfdata.status; metwork --version; pwd")
    assert "running" in said
    assert "-1\n/home/mfdata\n" in said
    # An owner is none of what dpkg looks at; a file is what it was.
    assert installed.run(f"dpkg -V {' '.join(NAMES)}") == ""
    assert installed.run("stat -c '%U:%G %a' /home/mfdata /etc/metwork.config.d/mfdata/config.ini").split("\n")[:2] == [
        "mfdata:mfdata 750",
        "root:metwork 640",
    ]


def test_an_upgrade_under_a_flow_loses_no_file_and_keeps_what_was_edited(installed: Machine) -> None:
    as_mfdata(installed, "mfdata.start")
    add_plugin(installed)
    installed.run("echo '# edited' >> /etc/metwork.config.d/mfdata/config.ini")
    installed.run(FLOW)
    wait_until(lambda: int(installed.run("cat /tmp/count")) > 100, what="a flow")
    before = as_mfdata(installed, "cat var/run/arbiter.lock")
    said = installed.run(INSTALL.format(2))
    assert said.count("metwork: start mfdata of user mfdata") == 1
    assert as_mfdata(installed, "cat var/run/arbiter.lock") != before
    during = int(installed.run("cat /tmp/count"))
    wait_until(lambda: int(installed.run("cat /tmp/count")) > during + 100, what="more of the flow")
    installed.run("rm /tmp/flow")
    wait_until(lambda: not installed.run("ls /home/mfdata/var/in/incoming"), what="the last file")
    count = int(installed.run("cat /tmp/count"))
    wait_until(lambda: kept(installed) == count, what=f"{count} files")
    assert "# edited" in installed.run("cat /etc/metwork.config.d/mfdata/config.ini")
    assert as_mfdata(installed, "metwork --version").endswith("-2\n")
    installed.run("test ! -e /run/metwork-upgrade")


def test_in_a_container_the_module_runs_in_the_foreground_and_ends_when_told_to(installed: Machine) -> None:
    run = "setsid /opt/metwork-mfext/share/service mfdata run > /tmp/said 2>&1 & echo $! > /tmp/first"
    as_mfdata(installed, run)
    wait_until(lambda: "mfdata is started" in installed.run("cat /tmp/said"), what="the module")
    assert "running" in as_mfdata(installed, "mfdata.status")
    installed.run("kill -TERM $(cat /tmp/first)")
    wait_until(lambda: "mfdata is stopped" in installed.run("cat /tmp/said"), what="the end")
    wait_until(lambda: installed.try_to("pgrep -u mfdata --full share/service").stdout == "", what="its end")


def test_removal_stops_what_runs_and_leaves_the_data(installed: Machine) -> None:
    as_mfdata(installed, "mfdata.start")
    assert installed.try_to("dpkg -r metwork-mfext").returncode, "mfdata needs it"
    said = installed.run("dpkg -r metwork-mfdata metwork-mfext")
    assert "mfdata is stopped" in said
    assert "/home/mfdata with all data is kept" in said
    installed.run("test -e /etc/metwork.config.d/mfdata/config.ini")
    installed.run("dpkg -P metwork-mfdata metwork-mfext")
    assert installed.try_to("ls -d /opt/metwork* /etc/metwork* /usr/lib/systemd/system/metwork*").stdout == ""
    installed.run("test -d /home/mfdata/var")
