"""Cgroups: limits on all processes of a step together, where systemd has delegated a cgroup (version 2) to the module.

The kernel lets only the leaves of the tree hold processes. So the arbiter, and whoever stands beside it, moves into a
leaf of its own; each process with limits gets another leaf, which its copies and all that they start share::

    metwork-mfdata.service/           delegated by systemd: Delegate=yes
        metwork.main/                 the arbiter, and processes without such limits
        metwork.step.NAME.main/       memory.max, cpu.max, cpu.weight, pids.max
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_ROOT, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_PREFIX, _MAIN = "metwork.", "metwork.main"
#: Marks of systemd on what it has delegated: root may write everywhere, and must not.
_DELEGATED = ("user.delegate", "trusted.delegate")
#: Microseconds in which cpu_max is counted.
_PERIOD = 100_000
_ATTEMPTS = 5

#: By the name of a limit: the controller that keeps it, its file, and the value that means none.
LIMITS = {
    "memory_max": ("memory", "memory.max", "max"),
    "cpu_max": ("cpu", "cpu.max", "max"),
    "cpu_weight": ("cpu", "cpu.weight", "100"),
    "tasks_max": ("pids", "pids.max", "max"),
}

NOT_DELEGATED = "no delegated cgroup"


class Unforced(Exception):
    """Limits that cannot be put in force; says why."""


class Cgroups:
    """Those below the cgroup of this process."""

    def __init__(self, folder: Path | None = None) -> None:
        """*folder*: where the cgroup is, instead of where the kernel says."""
        self._folder = folder
        self._is_split = False
        #: By the name of a process: how often the kernel had killed for memory when somebody asked.
        self._kills: dict[str, int] = {}

    def prepare(self, name: str, limits: Mapping[str, float]) -> Path:
        """The cgroup for the process *name*, with its *limits*.

        Raises:
            Unforced: there can be none.
        """
        folder = self._folder or own_cgroup()
        if folder is None:
            raise Unforced(NOT_DELEGATED)
        try:
            self._split(folder, {LIMITS[limit][0] for limit in limits})
            made = folder / f"{_PREFIX}{name}"
            made.mkdir(exist_ok=True)
            for limit, (_, file, none) in LIMITS.items():
                if limits.get(limit):
                    (made / file).write_text(_text(limit, limits[limit]), encoding="ascii")
                elif (made / file).exists():
                    (made / file).write_text(none, encoding="ascii")
        except OSError as error:
            raise Unforced(f"{error.filename}: {error.strerror}") from error
        self._folder = folder
        self.has_killed(name)  # what was before does not count
        return made

    def has_killed(self, name: str) -> bool:
        """Whether the kernel has killed one of the process *name* for memory since this was asked last."""
        count = 0
        if self._folder and self._is_split:
            with suppress(OSError, ValueError, KeyError):
                lines = (self._folder / f"{_PREFIX}{name}" / "memory.events").read_text(encoding="ascii").splitlines()
                count = int(dict(line.split() for line in lines)["oom_kill"])
        before, self._kills[name] = self._kills.get(name, 0), count
        return count > before

    def remove(self, name: str) -> None:
        """The process *name* is gone; what it has started and left behind is killed."""
        if self._folder is None or not self._is_split:
            return
        made = self._folder / f"{_PREFIX}{name}"
        with suppress(OSError):
            (made / "cgroup.kill").write_text("1", encoding="ascii")
        with suppress(OSError):  # not empty yet: the next one of its name takes it over
            made.rmdir()

    def _split(self, folder: Path, controllers: set[str]) -> None:
        """Leave *folder* for a leaf, and let *controllers* work below it."""
        there = set((folder / "cgroup.controllers").read_text(encoding="ascii").split())
        if missing := sorted(controllers - there):
            raise Unforced(f"the controller {missing[0]} is not delegated")
        main = folder / _MAIN
        main.mkdir(exist_ok=True)
        wanted = " ".join(f"+{one}" for one in sorted(controllers))
        for attempt in range(_ATTEMPTS):
            for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split():
                with suppress(ProcessLookupError):
                    (main / "cgroup.procs").write_text(pid, encoding="ascii")
            try:
                (folder / "cgroup.subtree_control").write_text(wanted, encoding="ascii")
                break
            except OSError as error:  # somebody was being started meanwhile
                if error.errno != errno.EBUSY or attempt == _ATTEMPTS - 1:
                    raise
        self._is_split = True


def own_cgroup(root: Path = _ROOT, own: Path = _OWN) -> Path | None:
    """The cgroup of this process, if it was delegated to this user; else None."""
    with suppress(OSError, StopIteration):
        path = next(line[3:] for line in own.read_text("utf-8", "surrogateescape").splitlines() if line[:3] == "0::")
        folder = root / path.lstrip("/")
        if folder.name == _MAIN:  # a successor of who has split it
            folder = folder.parent
        if (folder / "cgroup.controllers").exists() and _is_ours(folder, is_top=path == "/"):
            return folder
    return None


def _is_ours(folder: Path, *, is_top: bool) -> bool:
    needed = (folder, folder / "cgroup.procs", folder / "cgroup.subtree_control")
    if not all(os.access(one, os.W_OK) for one in needed):
        return False
    return bool(os.geteuid()) or is_top or _is_marked(folder)


def _is_marked(folder: Path) -> bool:
    for name in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _text(limit: str, value: float) -> str:
    return f"{int(value * _PERIOD)} {_PERIOD}" if limit == "cpu_max" else str(int(value))
