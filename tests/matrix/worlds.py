"""Bad worlds: full and read-only disks, clocks that jump, lost events, long queues, no attributes, no power."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from tests.matrix.kills import at_every_point, at_random, kill_all
from tests.matrix.module import KINDS, QUICK_KINDS, ModuleUnderTest
from tests.matrix.report import Row, row

# asm-generic/ioctl.h, linux/fs.h: _IOR('X', 125, __u32); without flushing the journal, which is what a power cut is.
_SHUTDOWN, _WITHOUT_FLUSH = 0x8004587D, 2
#: What was seen of a file may be forgotten by a power cut, and by a clock that jumps: a repeat then goes on.
_WITHOUT_REPEATS = tuple(kind for kind in QUICK_KINDS if kind != "twice")
#: More than the kernel holds for one reader (fs.inotify.max_queued_events).
_MORE_THAN_THE_QUEUE = 17_000


class CannotBeMade(Exception):
    """This machine, or this user, cannot have such a world."""


@contextmanager
def mounted(folder: Path, *what: str) -> Iterator[Path]:
    """A disk of its own at *folder*, as ``mount`` makes it from *what*."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *what, str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise CannotBeMade(done.stderr.strip() or "it cannot be mounted")
    try:
        yield folder
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    for _ in range(50):
        if not subprocess.run(["umount", str(folder)], capture_output=True).returncode:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def image(folder: Path, megabytes: int) -> Path:
    """A file with an empty ext4 in it."""
    path = folder / "disk.ext4"
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(path)], check=True)
    return path


@contextmanager
def module_in(folder: Path, **sections: dict[str, str]) -> Iterator[ModuleUnderTest]:
    """A started module below *folder*; stopped in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    module = ModuleUnderTest(folder, **sections)
    try:
        module.start()
        yield module
    finally:
        module.stop()


def full_tmpfs(folder: Path) -> Iterator[Row]:
    """A full disk of memory."""
    with mounted(folder / "disk", "-t", "tmpfs", "-o", "size=16m", "tmpfs") as disk, module_in(disk / "m") as module:
        yield full(module, disk, "full tmpfs")


def full_ext4(folder: Path) -> Iterator[Row]:
    """A full ext4, on which a rename may need room, too."""
    with mounted(folder / "disk", "-o", "loop", str(image(folder, 24))) as disk, module_in(disk / "m") as module:
        yield full(module, disk, "full ext4")


def full(module: ModuleUnderTest, disk: Path, what: str, times: int = 3) -> Row:
    """Fill *disk* while files wait to come in, kill some processes, and let there be room again."""
    chance = random.Random(7)
    for _ in range(times):
        module.send(KINDS)
        names = module.prepare(QUICK_KINDS * 5)
        ballast = fill(disk)
        with suppress(OSError):  # a producer may need room, too, for the name
            module.show(names)
        for _ in range(3):
            time.sleep(0.5)
            module.kill(chance.choice(["observer", "step.m.main", "step.switch.main", "step.m.a"]))
        time.sleep(1.0)
        ballast.unlink()
        module.show(module.hidden(names))
    return row(module, f"{what}, {times} times, with kills while it is full", timeout=120)


def fill(disk: Path) -> Path:
    """A file that takes all room that there is on *disk*."""
    path = disk / "ballast"
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return path


def read_only(folder: Path) -> Iterator[Row]:
    """Directories that cannot be written for two seconds, one after the other."""
    with module_in(folder / "m", incoming={"rescan_interval": "5"}) as module:
        module.send(KINDS)
        module.settle()
        places = module.flow.places
        for path in (
            module.flow.incoming,
            places.incoming / "step.switch.main",
            places.incoming / "step.m.main",
            places.works / "m.main",
            places.works / ".intake",
            places.delays / "m.main",
            places.quarantines / "m.main",
            module.home.log / "trace",
            module.home.path / "out" / "a",
        ):
            yield read_only_at(module, path)


def read_only_at(module: ModuleUnderTest, path: Path, seconds: float = 2.0) -> Row:
    """Nothing can be put into or taken out of *path* for some time."""
    names = module.prepare(QUICK_KINDS * 3)
    mode = path.stat().st_mode & 0o777
    path.chmod(0o555)
    try:
        if os.access(path, os.W_OK):
            raise CannotBeMade("this user may write everywhere")
        with suppress(PermissionError):
            module.show(names)
        time.sleep(seconds)
    finally:
        path.chmod(mode)
    module.show(module.hidden(names))
    return row(module, f"read-only for {seconds:g} s: {path.relative_to(module.home.path)}", timeout=90)


def clock(folder: Path) -> Iterator[Row]:
    """A clock that is set forward and back, by a day and by a year, while files flow and wait for a retry."""
    with module_in(folder / "m") as module:
        for days in (1, 0, -1, 0, 365, -365, 0):
            module.send(_WITHOUT_REPEATS * 3)
            part = module.faults / "clock.part"
            part.write_text(str(days * 86_400))
            part.rename(module.faults / "clock")
            module.send(_WITHOUT_REPEATS * 3)
            module.kill(random.Random(days).choice(["observer", "step.m.main", "step.m.a"]))
            yield row(module, f"the clock is {days:+} days wrong from one instant to the next, in full flow")


def lost_events(folder: Path) -> Iterator[Row]:
    """An observer that does not read, until the kernel drops events."""
    with module_in(folder / "m") as module:
        (pid,) = module.pids("observer")
        os.kill(pid, signal.SIGSTOP)
        module.send(["ends"] * _MORE_THAN_THE_QUEUE + ["one"] * 20)
        os.kill(pid, signal.SIGCONT)
        result = row(module, f"{_MORE_THAN_THE_QUEUE} files while the observer is stopped", timeout=300)
        log = b"".join(path.read_bytes() for path in module.home.log.glob("observer.log*"))
        yield result if b"dropped events" in log else replace(result, result="not reached")


def long_queue(folder: Path, count: int = 100_000) -> Iterator[Row]:
    """A long queue, with kills while it is worked off, and what it takes in memory."""
    with module_in(folder / "m") as module:
        module.stop()
        module.send(["ends"] * (count - 1000) + ["one"] * 1000)
        module.flow.run("mfdata.start")
        chance, most = random.Random(8), 0
        deadline = time.monotonic() + 600
        while not module.flow.is_idle() and time.monotonic() < deadline:
            time.sleep(2.0)
            most = max(most, max((_memory(pid) for pids in module.flow.pids().values() for pid in pids), default=0))
            module.kill(chance.choice(["observer", "step.m.main", "step.switch.main", "step.m.a"]))
        yield row(module, f"{count} files waiting, with kills; the largest process took {most >> 20} MB", timeout=300)


def _memory(pid: int) -> int:
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def no_attributes(folder: Path) -> Iterator[Row]:
    """A disk on which no file can have tags of its own: they are in sidecars."""
    with mounted(folder / "disk", "-t", "ramfs", "ramfs") as disk, module_in(disk / "m") as module:
        with suppress(OSError):
            os.setxattr(disk / "m", "user.metwork", b"")
            raise CannotBeMade("ramfs has attributes here")
        for result in at_every_point(module, lambda _process, point: "sidecar" in point):
            yield replace(result, fault=f"no attributes: {result.fault}")
        result = at_random(module, 40)
        yield replace(result, fault=f"no attributes: {result.fault}")


def power(folder: Path) -> Iterator[Row]:
    """Power cuts under ``durability = power``; and under ``crash``, to see that they cost something."""
    for durability in ("power", "crash"):
        (folder / durability).mkdir()
        disk = image(folder / durability, 256)
        yield cuts(folder / durability, disk, durability, 6 if durability == "power" else 2)


def cuts(folder: Path, disk: Path, durability: str, times: int) -> Row:
    """Cut the power *times* times; what had left the incoming directory by then must be there afterwards, once."""
    chance = random.Random(9)
    where = folder / "mnt"
    where.mkdir()
    module = ModuleUnderTest(where / "m", safety={"durability": durability})
    lost: list[str] = []
    with mounted(where, "-o", "loop", str(disk)):
        (where / "m").mkdir()
        module.start()
        os.sync()
    for _ in range(times):
        with mounted(where, "-o", "loop,commit=300", str(disk)):
            module.flow.run("mfdata.start")
            for _ in range(8):
                module.send(_WITHOUT_REPEATS)
                time.sleep(chance.uniform(0.0, 0.05))
            taken = {name for name in module.sent if not (module.flow.incoming / name).exists()}
            time.sleep(0.2)
            cut(where)
            kill_all(module)
        with mounted(where, "-o", "loop", str(disk)):
            module.flow.run("mfdata.start")
            try:
                module.settle(20)
            except TimeoutError as error:
                lost.append(str(error))
            lost += wrong(module, taken)
            module.stop()
    fault = f"{times} power cuts, durability = {durability}"
    if durability != "power":
        return Row(f"{fault}: {len(lost)} files lost or doubled, as may be", "balanced", "", *module.since_last())
    result = f"FAILED: {lost[:5]}" if lost else "balanced"
    return Row(fault, result, "", *module.since_last(), lost=len(lost))


def cut(disk: Path) -> None:
    """End the file system at *disk* with what has reached the disk, and not more."""
    folder = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTTY):
            raise CannotBeMade("only root may cut the power") from error
        raise
    finally:
        os.close(folder)


def wrong(module: ModuleUnderTest, taken: set[str]) -> list[str]:
    """Which files are not as they should be after a power cut; all are forgotten.

    A file that was not yet taken is its producer's: it may be gone, or empty, but not be there twice.
    """
    found, expected = module.found(), module.expected()
    lost = [str(key) for key in expected if key[0] in taken and found[key] != expected[key]]
    # What its producer did not bring to disk is empty, or as long as it was and without content.
    more = [str(key) for key in found if key[0].strip("\0") and found[key] > expected[key]]
    for folder in (module.home.path / "out", module.home.var / "quarantine"):
        for path in folder.rglob("*"):
            if path.is_file():
                path.unlink()
    module.sent.clear()
    return lost + more


WORLDS: tuple[Callable[[Path], Iterator[Row]], ...] = (
    full_tmpfs,
    full_ext4,
    read_only,
    clock,
    lost_events,
    long_queue,
    no_attributes,
    power,
)
