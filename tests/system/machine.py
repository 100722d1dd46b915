"""A copy-on-write copy of this machine, without network, in which a test may do as root whatever it likes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Becomes the first process of the copy. All of it lies in the memory and goes with that process.
_SET_UP = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
for folder in home run; do mount -t tmpfs -o mode=755 tmpfs "$1/root/$folder"; done
mount --bind "$2" "$1/root/mnt"
ip link set lo up 2>/dev/null || true
touch "$1/root/.copy-of-a-machine"
# Whoever enters takes the root of this process for his own: there must be none before that is the copy's.
exec chroot "$1/root" sh -c "echo ready; exec sleep infinity"
"""
NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc")


class Unavailable(Exception):
    """Such a copy cannot be made here."""


class Machine:
    """The copy: what it is told runs in it, and ends with it."""

    def __init__(self, process: subprocess.Popen[str], generation: int = 1) -> None:
        """*process*: its ancestor on this machine; *generation*: 1 when its first process is a child of that."""
        self._process, self._generation = process, generation

    @property
    def init(self) -> int:
        """Pid of its first process, as this machine counts.

        Raises:
            LookupError: there is none now.
        """
        pid = self._process.pid
        for _ in range(self._generation):
            children = Path(f"/proc/{pid}/task/{pid}/children")
            pid = next(map(int, children.read_text().split() if children.exists() else ()), 0)
            if not pid:
                raise LookupError("the copy of the machine does not run")
        return pid

    def try_to(self, script: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run *script* as root in a shell with nobody to answer; how it ended."""
        clean = ["env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", "LC_ALL=C.UTF-8"]
        enter = ["nsenter", "--target", str(self.init), *NAMESPACES, "--root", "--wd"]
        return subprocess.run(
            [*enter, *clean, "bash", "-c", f"cd / && [ -e /.copy-of-a-machine ] || exit 99; {script}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
        )

    def run(self, script: str) -> str:
        """The output of *script*, which must succeed."""
        done = self.try_to(script)
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def files(self) -> set[str]:
        """What lies in the folders that packages write to."""
        return set(self.run("find /opt /etc /usr /var /home -xdev | sort").splitlines())


@contextmanager
def machine(folder: Path, shared: Path) -> Iterator[Machine]:
    """A copy of this machine that has the folder *shared* as ``/mnt``; it is mounted on *folder*, for itself only.

    Raises:
        Unavailable: this user or this machine may not do so.
    """
    if os.geteuid() != 0:
        raise Unavailable("only root can make a copy of the machine")
    unshare = ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", _SET_UP, "sh", str(folder), str(shared)]
    process = subprocess.Popen(unshare, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said != "ready\n":
            raise Unavailable(f"this machine cannot be copied: {said}{process.stdout.read()}")
        yield Machine(process)
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End the copy whose ancestor is *process*."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
