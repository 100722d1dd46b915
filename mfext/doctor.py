"""Doctor: looks at the machine and at a home before anything goes wrong, and says what mends it.

Each check is a small function; a module adds its own through ``Module.examine``.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.clock import is_from_the_future
from mfext.environment import Home
from mfext.errors import MetworkError
from mfext.plugin.developed import missing
from mfext.plugin.environments import is_needed
from mfext.supervision.supervisor import Supervisor
from mfext.table import size

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.plugin.manifest import Plugin

#: The states of a finding, the worst first.
FAULT, WARNING, OK = "fault", "warning", "ok"

#: Open files that a process may need: connections of clients, watches, files in hand.
_OPEN_FILES = 4096
#: Instances of inotify that other programs of the user are left.
_SPARE_INSTANCES = 20
_WATCHES = 8192
#: Free disk, in bytes and as a share, below which somebody should know.
_FREE, _FREE_SHARE = 1 << 30, 0.05
#: What adjtimex answers when nobody keeps the clock.
_TIME_ERROR = 5
#: The size of the kernel's answer, and more.
_TIMEX = 256
_INOTIFY = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    #: What was looked at, in one or two words.
    check: str
    #: ``ok``, ``warning`` or ``fault``.
    state: str
    found: str
    #: The line to type, or what to do; '' when it is ok.
    mend: str = ""


def examine(module: Module, home: Home) -> list[Finding]:
    """All that the checks find for *module* in *home*, which may be still to be made; nothing is changed."""
    return [*_machine(), *_of_home(home), *_guarded("configuration", lambda: _as_configured(module, home))]


def _as_configured(module: Module, home: Home) -> Iterator[Finding]:
    """What depends on the configuration of *module* and on its plugins."""
    from mfext.lifecycle.lifecycle import wanted

    plan = wanted(module, home)
    plugins = plan.accepted.plugins
    yield configuration(plan.accepted.refused.values())
    yield inotify_instances(sum(one.numprocesses for one in plan.processes), Supervisor(home).is_running())
    for error in module.missing(home, plan.config, plugins):
        yield Finding("dependency", FAULT, error.found or error.message, error.mend)
    for plugin in plugins:
        if is_needed(plugin):
            yield requirements(plugin)
    yield from module.examine(home, plan.config, plugins)


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What *check* finds; that it cannot look is a finding, too, and keeps no other from looking."""
    try:
        yield from check()
    except MetworkError as error:
        yield Finding(name, FAULT, _told(error), error.mend or "Mend what is named.")
    except OSError as error:
        text = f"cannot be looked at: {error.filename or ''}: {error.strerror}".replace(": : ", ": ")
        yield Finding(name, WARNING, text, "Look as the user of the home.")


def worst(findings: Iterable[Finding]) -> str:
    """The worst of the states of *findings* (pure)."""
    states = {finding.state for finding in findings}
    return FAULT if FAULT in states else WARNING if WARNING in states else OK


def _machine() -> list[Finding]:
    return [python(), *libraries(), programs(), open_files(), inotify_watches(), clock_kept()]


def _of_home(home: Home) -> list[Finding]:
    checks: Sequence[Callable[[Home], Finding]] = (
        owner, reach_of_others, secrets_readable, attributes, disk_space, disk_inodes, clock_jump,
    )  # fmt: skip
    return [
        finding
        for check in checks
        for finding in _guarded(check.__name__.replace("_", " "), partial(_alone, check, home))
    ]


def _alone(check: Callable[[Home], Finding], home: Home) -> list[Finding]:
    return [check(home)]


def _told(error: MetworkError) -> str:
    """The message of *error* without what mends it (pure)."""
    return error.message.removesuffix(error.mend).strip()


def python() -> Finding:
    """The Python that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", OK, f"{version}, {sys.executable}")


def libraries() -> Iterator[Finding]:
    """The Python packages that MetWork needs, in the versions that it needs."""
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        needed = [one for one in requires("metwork") or () if "extra ==" not in one]
    except PackageNotFoundError:
        needed = []
    faults = []
    for requirement in needed:
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[.*\])?\s*(?:>=\s*([0-9.]+))?", requirement)
        if match is None:
            continue
        try:
            there = version(match[1])
        except PackageNotFoundError:
            faults.append(f"{match[1]} is not there")
            continue
        if match[2] and _numbers(there) < _numbers(match[2]):
            faults.append(f"{match[1]} is {there}, older than {match[2]}")
    if faults:
        yield Finding("libraries", FAULT, "; ".join(faults), "Install MetWork again: make setup, or its packages.")
    else:
        yield Finding("libraries", OK, f"{len(needed)} or more are there" if needed else "as they were delivered")


def programs() -> Finding:
    """The programs that commands on plugins need."""
    if shutil.which("rpm") is None:
        return Finding("programs", WARNING, "there is no rpm: no plugin can be installed", "Install the package rpm.")
    return Finding("programs", OK, "rpm")


def open_files(limit: int | None = None) -> Finding:
    """How many files a process may open; *limit* is what the kernel says, if it is known."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if limit is None else limit
    if most != resource.RLIM_INFINITY and most < _OPEN_FILES:
        mend = f"In /etc/security/limits.d, a file with: * - nofile {_OPEN_FILES * 4}"
        return Finding("open files", WARNING, f"a process may open {most} at most", mend)
    return Finding("open files", OK, "no limit" if most == resource.RLIM_INFINITY else f"up to {most}")


def inotify_watches(most: int | None = None) -> Finding:
    """How many folders the user may watch."""
    most = _number(_INOTIFY / "max_user_watches") if most is None else most
    if most < _WATCHES:
        mend = "As root: sysctl fs.inotify.max_user_watches=65536, and a file in /etc/sysctl.d."
        return Finding("inotify watches", WARNING, f"{most} folders may be watched", mend)
    return Finding("inotify watches", OK, f"up to {most}")


def inotify_instances(processes: int, is_running: bool, most: int | None = None, used: int | None = None) -> Finding:
    """Whether each of the *processes* that are to run gets one; those that are running have theirs."""
    most = _number(_INOTIFY / "max_user_instances") if most is None else most
    used = _used_instances() if used is None else used
    needed = used + _SPARE_INSTANCES + (0 if is_running else processes)
    text = f"{used} of {most} are used; {processes} processes {'have theirs' if is_running else 'will need one each'}"
    mend = f"As root: sysctl fs.inotify.max_user_instances={max(1024, 2 * needed)}, and a file in /etc/sysctl.d."
    if needed > most:
        return Finding("inotify instances", WARNING if needed - _SPARE_INSTANCES <= most else FAULT, text, mend)
    return Finding("inotify instances", OK, text)


def clock_kept(answer: int | None = None) -> Finding:
    """Whether somebody keeps the clock of the machine right; *answer* is that of the kernel, if it is known."""
    answer = _adjtimex() if answer is None else answer
    if answer == _TIME_ERROR:
        mend = "Run chrony or systemd-timesyncd: timedatectl set-ntp true."
        return Finding(
            "clock", WARNING, "nobody keeps it right (NTP): times in traces and deadlines may be wrong", mend
        )
    if answer < 0:
        return Finding("clock", WARNING, "the kernel does not say whether it is kept right", "Look at timedatectl.")
    return Finding("clock", OK, "it is kept right (NTP)")


def clock_jump(home: Home, now: float | None = None) -> Finding:
    """Whether the clock was set back since something was written in *home*."""
    now = time.time() if now is None else now
    newest = max(_times(home), default=0.0)
    if is_from_the_future(newest, now):
        ahead = newest - now
        mend = "Set the clock right, or wait; nothing is lost, but ages and deadlines count from the wrong time."
        return Finding("clock of files", WARNING, f"files in the home are {ahead:.0f} s younger than now", mend)
    return Finding("clock of files", OK, "nothing in the home is from the future")


def owner(home: Home) -> Finding:
    """Whether this user may run the module in *home*."""
    from mfext.owner import check_owner, user_name

    try:
        check_owner(home)
    except MetworkError as error:
        return Finding("owner", FAULT, _told(error), error.mend)
    there = f"{home.path} is of {user_name(os.geteuid())}" if home.path.exists() else f"{home.path} can be made"
    return Finding("owner", OK, there)


def reach_of_others(home: Home) -> Finding:
    """Whether other users may change, or read, what is in *home*."""
    if not home.path.is_dir():
        return Finding("other users", OK, "there is no home yet")
    # Who may rename a folder above may put another one in its place.
    open_above = [one for one in home.path.resolve().parents if one.stat().st_mode & 0o1002 == 0o002]
    mode = home.path.stat().st_mode & 0o777
    if mode & 0o002 or open_above:
        place = home.path if mode & 0o002 else open_above[0]
        return Finding("other users", FAULT, f"anybody may change {place}", f"chmod o-w {place}")
    if mode & 0o004:
        mend = f"chmod o-rwx {home.path}, unless others put or take files there"
        return Finding("other users", WARNING, f"anybody may read {home.path} (mode {mode:04o})", mend)
    return Finding("other users", OK, f"{home.path} has mode {mode:04o}")


def secrets_readable(home: Home) -> Finding:
    """Whether other users can read configuration that holds a secret."""
    from mfext.configuration.secret import is_secret

    found = []
    for file in sorted(home.config.rglob("*.ini")) if home.config.is_dir() else ():
        with suppress(OSError, UnicodeDecodeError):
            keys = re.findall(r"^\s*([\w.-]+)\s*=\s*\S", file.read_text("utf-8"), re.MULTILINE)
            if file.stat().st_mode & 0o004 and _is_reached(file, home) and any(map(is_secret, keys)):
                found.append(file)
    if found:
        return Finding("secrets", FAULT, f"anybody may read {', '.join(map(str, found))}", f"chmod 600 {found[0]}")
    return Finding("secrets", OK, "no configuration with a secret is readable for others")


def attributes(home: Home) -> Finding:
    """Whether the file system of *home* keeps extended attributes, in which tags lie."""
    folder = _nearest(home.tmp)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor.") as file:
            os.setxattr(file.fileno(), "user.metwork", b"x" * 1024)
    except OSError as error:
        if not os.access(folder, os.W_OK):
            return Finding("attributes", WARNING, f"not known: {folder} is not writable", "Look as the home's user.")
        mend = "Put the home on a file system with user attributes (ext4, xfs, btrfs); tags lie beside files till then."
        return Finding("attributes", WARNING, f"{folder} keeps none for users: {error.strerror}", mend)
    return Finding("attributes", OK, f"{folder} keeps them")


def disk_space(home: Home, free: int | None = None, total: int | None = None) -> Finding:
    """Whether there is room on the disk of *home*."""
    usage = shutil.disk_usage(_nearest(home.path))
    free, total = usage.free if free is None else free, usage.total if total is None else total
    text = f"{size(free)} of {size(total)} are free"
    if free < _FREE // 10:
        return Finding("disk", FAULT, text, "Make room: mfdata.status says what lies in quarantine.")
    if free < _FREE or free < total * _FREE_SHARE:
        return Finding("disk", WARNING, text, "Make room before intake pauses.")
    return Finding("disk", OK, text)


def disk_inodes(home: Home) -> Finding:
    """Whether the disk of *home* takes more files."""
    facts = os.statvfs(_nearest(home.path))
    if facts.f_files and facts.f_favail < facts.f_files * _FREE_SHARE:
        text = f"{facts.f_favail} of {facts.f_files} files are free"
        return Finding(
            "inodes", WARNING, text, "Remove files, many small ones, or make a file system with more inodes."
        )
    return Finding("inodes", OK, f"{facts.f_favail} are free" if facts.f_files else "as many as there is room for")


def configuration(refused: Iterable[MetworkError]) -> Finding:
    """Whether all plugins can be in force."""
    faults = [error.message for error in refused]
    if faults:
        return Finding("configuration", FAULT, "; ".join(faults), "Look closer with: metwork config check")
    return Finding("configuration", OK, "it is right, with all plugins")


def requirements(plugin: Plugin) -> Finding:
    """Whether the Python packages of *plugin*, which is being developed, are installed."""
    lacking = missing(plugin)
    if lacking:
        return Finding("requirements", WARNING, f"{lacking.where}: {lacking.found}", lacking.mend)
    return Finding("requirements", OK, f"those of {plugin.name} are installed")


def port(what: str, address: str, number: int, is_ours: bool) -> Finding:
    """Whether *what* can listen at *address* and port *number*; *is_ours* when it may do so already."""
    place = f"{address}:{number}"
    if is_ours or not number:
        return Finding("port", OK, f"{what}: {place if number else 'any that is free'}")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.strip("[]"), number))
        except PermissionError:
            mend = f"As root: sysctl net.ipv4.ip_unprivileged_port_start={number}; or take a port above 1023."
            return Finding("port", FAULT, f"{what}: this user may not listen at {place}", mend)
        except OSError as error:
            mend = f"See who has it: ss -ltnp 'sport = :{number}'; or take another port."
            return Finding("port", FAULT, f"{what}: {place}: {error.strerror}", mend)
    return Finding("port", OK, f"{what}: {place} is free")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:4]]


def _number(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return 0


def _used_instances() -> int:
    """The inotify instances of this user's processes."""
    used = 0
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):  # of another user, or of a process that ends
            for link in [*folder.iterdir()] if folder.stat().st_uid == os.geteuid() else ():
                with suppress(OSError):
                    used += str(link.readlink()) == "anon_inode:inotify"
    return used


def _adjtimex() -> int:
    """What the kernel says of its clock: 5 = nobody keeps it; negative when it does not say."""
    import ctypes

    try:
        # All zero: nothing is set.
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX)))
    except (OSError, AttributeError):
        return -1


def _times(home: Home) -> Iterator[float]:
    """Times of what is written all the while: logs, what says how processes do."""
    for folder in (home.log, home.run, home.config):
        if folder.is_dir():
            for entry in folder.iterdir():
                with suppress(OSError):
                    yield entry.stat().st_mtime


def _is_reached(file: Path, home: Home) -> bool:
    """Whether others come as far as *file*, through the folders of *home*."""
    folders = [one for one in file.parents if one.is_relative_to(home.path)]
    return all(one.stat().st_mode & 0o001 for one in folders)


def _nearest(folder: Path) -> Path:
    """*folder*, or the first one above it that is there."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
