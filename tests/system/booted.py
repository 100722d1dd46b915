"""A copy of this machine with a systemd of its own as first process, which can be rebooted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfext.testing import wait_until
from tests.system.machine import NAMESPACES, Machine, Unavailable, end

SYSTEMD = Path("/lib/systemd/systemd")

#: Keeps the disk, which lies in the memory, from one boot to the next; a reboot ends systemd by SIGHUP.
_KEEP = """
mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" "$1/home" "$1/units" || exit
while
    unshare --mount --pid --net --uts --ipc --fork sh -c "$4" sh "$1" "$2" "$3"
    [ $? = 129 ]
do :; done
"""
#: Becomes systemd. It shall be alone in its cgroup, and start nothing that this machine starts besides.
_BOOT = """
set -e
echo 0 > "$3/cgroup.procs"
root=$1/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
for folder in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs "$root/$folder"; done
chmod 1777 "$root/tmp"
mkdir "$root/dev/pts" "$root/dev/shm"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$1/home" "$root/home"
mount --bind "$1/units" "$root/etc/systemd/system"
mount --bind "$2" "$root/mnt"
rm -rf "$root/etc/fstab" "$root/etc/init.d" "$root/var/log/journal"
ip link set lo up 2>/dev/null || true
touch "$root/.copy-of-a-machine"
exec unshare --cgroup sh -ec '
    mount -t cgroup2 cgroup2 "$0/sys/fs/cgroup"
    cd "$0"
    pivot_root . media
    umount -l media
    echo ready
    exec env -i container=metwork PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=false
' "$root"
"""
#: The process that keeps the disk, the one that waits for systemd, systemd.
_GENERATION = 3


class Booted(Machine):
    """The copy: what it is told runs in it, beside what systemd runs."""

    def is_up(self) -> bool:
        """Whether systemd has started all that it should."""
        with suppress(LookupError):
            return self.try_to("systemctl is-system-running").stdout.strip() in {"running", "degraded"}
        return False

    def reboot(self) -> None:
        """Stop all that runs as systemd does it, start again, and wait for that."""
        before = self.init
        self.try_to("systemctl reboot")
        wait_until(lambda: not Path(f"/proc/{before}").exists(), timeout=60, what="the end of all that ran")
        wait_until(self.is_up, timeout=60, what="the machine")


@contextmanager
def booted(folder: Path, shared: Path) -> Iterator[Booted]:
    """A copy of this machine that has booted, with the folder *shared* as ``/mnt``; it is mounted on *folder*.

    Raises:
        Unavailable: this user or this machine may not do so.
    """
    if os.geteuid() != 0:
        raise Unavailable("only root can make a copy of the machine")
    if not SYSTEMD.exists():
        raise Unavailable("there is no systemd: tools/system-packages test")
    with _cgroup() as cgroup:
        keep = ["sh", "-c", _KEEP, "sh", str(folder), str(shared), str(cgroup), _BOOT]
        process = subprocess.Popen(
            ["unshare", *NAMESPACES, "--fork", "--kill-child", *keep],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if said != "ready\n":
                raise Unavailable(f"this machine cannot be copied: {said}{process.stdout.read()}")
            machine = Booted(process, _GENERATION)
            wait_until(machine.is_up, timeout=60, what="the machine")
            yield machine
        finally:
            end(process)


@contextmanager
def _cgroup() -> Iterator[Path]:
    """A cgroup (version 2) of its own at the top, with all controllers that the kernel's administrator lets go on."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    tops = [Path(words[1]) for words in mounts if words[2] == "cgroup2"]
    if not tops:
        raise Unavailable("no cgroup2 is mounted")
    made = tops[0] / f"metwork-copy.{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        raise Unavailable(f"{made} cannot be made: {error.strerror}") from error
    try:
        yield made
    finally:
        wait_until(lambda: _is_removed(made), timeout=30, what="the end of all processes")


def _is_removed(cgroup: Path) -> bool:
    for folder in [*sorted((path for path in cgroup.rglob("*") if path.is_dir()), reverse=True), cgroup]:
        with suppress(OSError):
            folder.rmdir()
    return not cgroup.exists()
