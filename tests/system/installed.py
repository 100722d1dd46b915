"""The RPMs as tests install them, and what is done on a machine that has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rpm.contents import ROOT
from tests.system.machine import Machine

PYTHON = Path("/usr/bin/python3")
NAMES = ("metwork-mfext", "metwork-mfdata")
#: Installs one of the releases of the fixture ``rpms``.
INSTALL = "rpm -Uvh /mnt/{0}/metwork-mfext-*.rpm /mnt/{0}/metwork-mfdata-*.rpm </dev/null"

#: Drops files one by one, under names in turn, until /tmp/flow is gone; /tmp/count tells how many there were.
FLOW = """
touch /tmp/flow
echo 0 > /tmp/count
(
    count=0
    while [ -e /tmp/flow ]; do
        count=$((count + 1))
        echo "file $count" > /home/mfdata/.part
        mv /home/mfdata/.part /home/mfdata/var/in/incoming/flow.$count
        echo $count > /tmp/count.part
        mv /tmp/count.part /tmp/count
        sleep 0.004
    done
) < /dev/null > /dev/null 2>&1 &
"""


def build(dist: Path, release: str, *names: str, work: Path | None = None) -> None:
    """Make the RPMs *names* of one *release* into the folder *dist*."""
    elsewhere = ["--work", str(work)] if work else []
    command = [sys.executable, "-m", "rpm", "--release", release, "--dist", str(dist), *elsewhere, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def as_mfdata(machine: Machine, command: str) -> str:
    """The output of *command*, which the user of the module gives at his login."""
    return machine.run(f"su - mfdata -c '{command}'")


def add_plugin(machine: Machine) -> None:
    """Let a plugin ``keep`` put every file into /home/mfdata/kept."""
    settings = "--set custom.dest_dir=/home/mfdata/kept --set step_main.switch_logical_condition=True"
    as_mfdata(machine, f"bootstrap_plugin.py create --no-input --template=move {settings} keep")
    as_mfdata(machine, "cd keep && rm tests/rules.yaml && make develop")


def kept(machine: Machine) -> int:
    """How many files the plugin ``keep`` has put there."""
    return int(machine.run("find /home/mfdata/kept -type f 2>/dev/null | wc -l"))
