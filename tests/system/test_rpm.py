"""The RPMs of the modules, as an administrator meets them: installed, upgraded under a flow, verified, removed.

It happens in a copy of the machine, with Debian's or whatever rpm and dnf there are: the machine stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until
from rpm.contents import MODULES
from rpm.target import target_of
from tests.integration.mfext.packages import make_wheel
from tests.system.installed import FLOW, INSTALL, NAMES, PYTHON, add_plugin, as_mfdata, build, kept
from tests.system.machine import Machine, Unavailable, machine

#: They are built first, and what they bring is fetched when it is not there yet.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


#: Signs release 1, and the list of what is in its repository, as docs/howto/install.md tells.
SIGN = """
export GNUPGHOME=/tmp/keys
mkdir -m 700 /tmp/keys && cp -r /mnt/1 /tmp/signed && cd /tmp/signed
gpg --batch --passphrase '' --quick-generate-key rpm@example.org rsa3072 sign
gpg --armor --export rpm@example.org > RPM-GPG-KEY-metwork
rpmsign --define '_gpg_name rpm@example.org' --define '__gpg /usr/bin/gpg' --addsign *.rpm
createrepo_c --quiet .
gpg --batch --detach-sign --armor repodata/repomd.xml
printf '%s\\n' '[metwork]' name=MetWork baseurl=file:///tmp/signed gpgcheck=1 repo_gpgcheck=1 \\
    gpgkey=file:///tmp/signed/RPM-GPG-KEY-metwork > /tmp/metwork.repo
"""


@pytest.fixture
def fresh(tmp_path: Path, rpms: Path) -> Iterator[Machine]:
    """A machine without MetWork."""
    (tmp_path / "machine").mkdir()
    try:
        with machine(tmp_path / "machine", rpms) as made:
            yield made
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def installed(fresh: Machine) -> Machine:
    """A machine with release 1 and a plugin ``keep`` that puts every file into /home/mfdata/kept."""
    fresh.run(INSTALL.format(1))
    as_mfdata(fresh, "mfdata.start")
    add_plugin(fresh)
    return fresh


def test_install_asks_nothing_and_the_commands_are_there_at_login(fresh: Machine) -> None:
    fresh.run(INSTALL.format(1))
    said = as_mfdata(fresh, "mfdata.start; mfdata.status; plugins.list; pwd")
    assert "mfdata is started" in said
    assert "running" in said
    assert "Total: 1 plugin(s)" in said
    assert said.endswith("/home/mfdata\n")
    assert fresh.run(f"rpm -V {' '.join(NAMES)}") == ""
    assert "fs.inotify.max_user_instances = 4096" in fresh.run("cat /usr/lib/sysctl.d/60-metwork.conf")


def test_a_person_who_logs_in_sees_the_banner_and_the_prompt(fresh: Machine) -> None:
    fresh.run(INSTALL.format(1))
    seen = fresh.run("echo exit | script --quiet --command 'su - mfdata' /dev/null")
    assert "Welcome on " in seen
    assert re.search(r"\(module: MFDATA, version \d+\.\d+\.\d+-1\)", seen)
    assert "[mfdata:~] $ " in seen


def test_two_builds_of_one_version_are_told_apart(fresh: Machine) -> None:
    told = []
    for release in (1, 2):
        fresh.run(INSTALL.format(release))
        shown = as_mfdata(fresh, "metwork --version; metwork modules")
        modules = json.loads(as_mfdata(fresh, "metwork modules --json"))
        version = modules[0]["version"]
        assert version.endswith(f"-{release}")
        assert shown.count(version) == 2  # of the framework, of the one module
        status = fresh.try_to("su - mfdata -c 'mfdata.status --json'").stdout
        assert json.loads(status)["version"] == version
        told.append(version)
    assert told[0] != told[1]


def test_a_plugin_made_from_a_template_gets_files(installed: Machine) -> None:
    installed.run("echo hello > /home/mfdata/.part; mv /home/mfdata/.part /home/mfdata/var/in/incoming/hello.txt")
    wait_until(lambda: installed.try_to("grep -r hello /home/mfdata/kept").returncode == 0, what="the file")
    said = as_mfdata(installed, "cd keep && make")
    assert "is correct" in said
    assert "passed" in said


def test_a_plugin_with_requirements_is_developed_where_only_the_rpms_are(fresh: Machine, rpms: Path) -> None:
    make_wheel(rpms / "wheels")
    fresh.run(INSTALL.format(1))
    as_mfdata(fresh, "mfdata.start; bootstrap_plugin.py create --no-input one; echo greetings > one/requirements.txt")
    fresh.run("sed -i '1i import greetings' /home/mfdata/one/main.py")
    assert "its requirements are not installed" in fresh.try_to("su - mfdata -c 'cd one && make check'").stderr
    offline = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/mnt/wheels; cd one"
    said = as_mfdata(
        fresh,
        f"{offline}; make develop 2>&1; make test; make check; metwork plugins run python3 -c "
        '"import greetings; print(greetings.__file__)"',
    )
    assert "Installing the requirements of one" in said
    assert "The plugin one is dev-linked and runs" in said
    assert "passed" in said
    assert "/home/mfdata/var/environments/one/" in said


def test_an_upgrade_under_a_flow_loses_no_file_and_keeps_what_was_edited(installed: Machine) -> None:
    installed.run("echo '# edited' >> /etc/metwork.config.d/mfdata/config.ini")
    installed.run(FLOW)
    wait_until(lambda: int(installed.run("cat /tmp/count")) > 100, what="a flow")
    before = as_mfdata(installed, "cat var/run/arbiter.lock")
    said = installed.run(INSTALL.format(2))
    assert "metwork: start mfdata of user mfdata" in said
    assert as_mfdata(installed, "cat var/run/arbiter.lock") != before
    during = int(installed.run("cat /tmp/count"))
    wait_until(lambda: int(installed.run("cat /tmp/count")) > during + 100, what="more of the flow")
    installed.run("rm /tmp/flow")
    wait_until(lambda: not installed.run("ls /home/mfdata/var/in/incoming"), what="the last file")
    count = int(installed.run("cat /tmp/count"))
    wait_until(lambda: kept(installed) == count, what=f"{count} files")
    assert json.loads(as_mfdata(installed, "mfdata.inventory --json"))["missing"] == []
    assert "-2" in installed.run("rpm -q metwork-mfdata")
    assert "# edited" in installed.run("cat /etc/metwork.config.d/mfdata/config.ini")
    # Nothing is changed but what was edited.
    changed = installed.try_to(f"rpm -V {' '.join(NAMES)}").stdout
    assert changed.split()[1:] == ["c", "/etc/metwork.config.d/mfdata/config.ini"]
    installed.run("test ! -e /run/metwork-upgrade")


def test_what_does_not_run_is_not_started_by_an_upgrade(installed: Machine) -> None:
    as_mfdata(installed, "mfdata.stop")
    installed.run(INSTALL.format(2))
    assert "mfdata is not running" in installed.try_to("su - mfdata -c mfdata.status").stdout


def test_removal_leaves_the_data_and_its_user_and_nothing_else(fresh: Machine) -> None:
    before = fresh.files()
    fresh.run(INSTALL.format(1))
    as_mfdata(fresh, "mfdata.start")
    said = fresh.run("rpm -e metwork-mfdata metwork-mfext")
    assert "mfdata is stopped" in said
    assert "/home/mfdata with all data is kept" in said
    left = {path for path in fresh.files() - before if not path.startswith("/home/mfdata")}
    # The user is kept with the data: these are copies that the system made of its own files.
    assert left <= {f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")}
    assert fresh.run("ls -d /home/mfdata/var /home/mfdata/log && id -un mfdata").endswith("mfdata\n")
    # Nobody takes notice in the copy when a process ends.
    assert not fresh.run("ps -u mfdata -o stat=,args= | grep -v ^Z || true")


def test_root_is_told_whose_home_it_is(installed: Machine) -> None:
    done = installed.try_to("MFMODULE=MFDATA /opt/metwork-mfext/bin/metwork mfdata status")
    assert done.returncode != 0
    assert "belongs to user mfdata, and you are root" in done.stderr


def test_dnf_installs_upgrades_goes_back_and_removes_from_the_repository(fresh: Machine) -> None:
    need(fresh, "dnf")
    repository = "--repofrompath=metwork,file:///mnt/{} --repo=metwork --nogpgcheck"
    dnf = f"dnf --assumeyes --quiet --installroot=/tmp/other --releasever=1 --setopt=cachedir=/tmp/dnf {repository}"
    fresh.run(f"{dnf.format(1)} install metwork-mfdata")
    packages = "rpm --root /tmp/other -qa | sort"
    assert [line.rsplit("-", 2)[0] for line in fresh.run(packages).split()] == sorted(NAMES)
    assert fresh.run("ls /tmp/other/opt").split() == sorted(NAMES)
    fresh.run(f"{dnf.format(2)} upgrade")
    assert fresh.run(packages).count("-2.") == 2
    fresh.run(f"{dnf.format(1)} downgrade metwork-mfext metwork-mfdata")
    assert fresh.run(packages).count("-1.") == 2
    # mfdata does not stay without the framework.
    fresh.run(f"{dnf.format(1)} remove metwork-mfext")
    assert fresh.run(packages) == ""


def test_dnf_takes_from_a_signed_repository_what_its_key_has_signed_and_nothing_else(fresh: Machine) -> None:
    need(fresh, "dnf", "rpmsign", "gpg")
    fresh.run(SIGN)
    dnf = "dnf --assumeyes --installroot=/tmp/other --releasever=1 --setopt=cachedir=/tmp/dnf --setopt=reposdir=/tmp"
    fresh.run(f"{dnf} install metwork-mfdata")
    assert "metwork-mfdata" in fresh.run("rpm --root /tmp/other -qa")

    fresh.run("cp /mnt/1/metwork-mfserv-*.rpm /tmp/signed && createrepo_c --quiet /tmp/signed")
    refused = fresh.try_to(f"{dnf} --refresh install metwork-mfserv")
    assert refused.returncode
    assert "GPG signature verification error" in refused.stdout + refused.stderr
    fresh.run("cd /tmp && GNUPGHOME=/tmp/keys gpg --batch --yes --detach-sign --armor signed/repodata/repomd.xml")
    refused = fresh.try_to(f"{dnf} --refresh install metwork-mfserv")
    assert refused.returncode
    assert "is not signed" in refused.stdout + refused.stderr


def need(machine: Machine, *programs: str) -> None:
    for program in programs:
        if machine.try_to(f"command -v {program}").returncode:
            pytest.skip(f"there is no {program}: tools/system-packages test")


def test_what_is_built_needs_what_is_declared(rpms: Path) -> None:
    for package in MODULES:
        rpm = next((rpms / "1").glob(f"{package.name}-[0-9]*.rpm"))
        version, python = query(rpm, "--qf", "%{VERSION}-%{RELEASE}")[0], target_of(PYTHON).python
        wanted = package.dependencies(version, python)
        assert query(rpm, "--requires") == sorted(wanted.requires)
        assert query(rpm, "--recommends") == sorted(wanted.recommends)


def query(rpm: Path, *asked: str) -> list[str]:
    said = subprocess.run(["rpm", "-qp", *asked, rpm], capture_output=True, text=True, check=True).stdout
    return sorted(line for line in said.splitlines() if not line.startswith("rpmlib("))


def test_two_builds_are_the_same_to_the_bit(rpms: Path, tmp_path: Path) -> None:
    build(tmp_path / "one", "1", "metwork-mfdata")
    old = os.umask(0o077)
    try:
        build(tmp_path / "other", "1", "metwork-mfdata", work=tmp_path / "elsewhere")
    finally:
        os.umask(old)
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def digests(folder: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("metwork-mfdata-*.rpm"))]
