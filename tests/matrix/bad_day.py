"""Bad day: a stuck step, a leaking one, one that cannot start, a server that is away; and what the operator sees.

``python -m tests.matrix.bad_day [--scale 1]``
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mfdata.operations.inventory import inventory
from mfdata.storage.trace import events, time_of
from mfext.testing import wait_until
from tests.integration.mfdata.ftp_server import PASSWORD, USER, Server
from tests.matrix.report import equation
from tests.system.conftest import Flow

_PLUGINS = Path(__file__).with_name("bad_day_plugins")
NAMES = ("good", "stuck", "leaky", "shaky", "send")
#: Files a second for each plugin.
_RATE = {"good": 50, "stuck": 5, "leaky": 5, "shaky": 5, "send": 10}
_WIDTH = 240


@dataclass(frozen=True)
class Phase:
    """A time of the day, and how the reference did in it."""

    title: str
    start: float
    end: float


class Day:
    """A module with five plugins, files for each of them, and somebody who looks at it."""

    def __init__(self, folder: Path, scale: float) -> None:
        self.flow = Flow(folder)
        self.scale = scale
        self.machine = folder / "machine"
        self.faults = self.flow.home.var / "bad_day"
        self.phases: list[Phase] = []
        self.sent: Counter[str] = Counter()
        self._stopping = threading.Event()

    def start(self, port: int) -> None:
        """Make the plugins and start everything."""
        flow = self.flow
        flow.run("mfdata.start")
        self.faults.mkdir(parents=True)
        for name in NAMES[:-1]:
            shutil.copytree(_PLUGINS / name, flow.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            flow.run("plugins.develop", ".", folder=flow.folder / name)
        account = {"machine": "127.0.0.1", "port": str(port), "user": USER, "passwd": PASSWORD}
        wanted = "x['first.core.original_basename'].startswith(b'send')"
        flow.plugin("send", "ftpsend", switch_logical_condition=wanted, **account)

    def send(self) -> None:
        """Let files come in for all plugins until the day is over."""
        start = time.monotonic()
        while not self._stopping.wait(0.02):
            for name, rate in _RATE.items():
                for _ in range(int((time.monotonic() - start) * rate) - self.sent[name]):
                    self.flow.drop(f"{name}-{self.sent[name]}", f"{name}-{self.sent[name]}".encode())
                    self.sent[name] += 1

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Files come in."""
        sender = threading.Thread(target=self.send)
        sender.start()
        try:
            yield
        finally:
            self._stopping.set()
            sender.join()

    @contextmanager
    def broken(self, name: str) -> Iterator[None]:
        """The plugin *name* has its fault."""
        mark = self.faults / name
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    def phase(self, title: str, seconds: float, looks: int = 1) -> None:
        """Let time pass, and look *looks* times, the last time at its end."""
        print(f"\n== {title}", flush=True)
        start = time.time()
        for number in range(1, looks + 1):
            time.sleep(max(0.0, start + seconds * self.scale * number / looks - time.time()))
            print(f"\n-- after {time.time() - start:.0f} s", flush=True)
            self.look()
        self.phases.append(Phase(title, start, time.time()))

    def look(self) -> None:
        """What the operator sees."""
        for command in ("mfdata.status", "mfdata.queues"):
            done = self.flow.try_to(command)
            lines = [line for line in done.stdout.splitlines() if line.strip()]
            print(f"$ {command}     (exit status {done.returncode})")
            print("\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines), flush=True)

    def arrived(self) -> dict[str, Counter[str]]:
        """How often the content of each file is at the end of its plugin."""
        found = {name: Counter[str]() for name in NAMES}
        for name in NAMES[:-1]:
            folder = self.flow.home.path / "out" / name
            found[name].update(path.read_text() for path in (folder.iterdir() if folder.is_dir() else ()))
        found["send"].update(path.read_text() for path in self.machine.iterdir())
        return found

    def wrong(self) -> list[str]:
        """The files that are not exactly once where they should be."""
        found = self.arrived()
        every = {name: {f"{name}-{number}" for number in range(self.sent[name])} for name in NAMES}
        return [
            f"{one}: {found[name][one]}"
            for name in NAMES
            for one in {*every[name], *found[name]}
            if found[name][one] != 1
        ]

    def is_settled(self) -> bool:
        """Whether no file is on its way, looked at twice: one may be handed over during a look."""
        return self.flow.is_idle() and self.flow.is_idle()

    def told(self) -> None:
        """Print how the reference did in each time of the day, beside the first one."""
        accepted, done = self._times("accepted"), self._times("done")
        print(f"\n{'':52} {'good files/s':>12} {'of first':>9} {'ms: half below':>15} {'99 % below':>11} {'most':>7}")
        first = 0.0
        for phase in self.phases:
            ended = [uid for uid, at in done.items() if phase.start <= at < phase.end and uid in accepted]
            took = sorted(1000 * (done[uid] - accepted[uid]) for uid in ended) or [0.0]
            rate = len(ended) / (phase.end - phase.start)
            first = first or rate
            figures = (took[len(took) // 2], took[len(took) * 99 // 100], took[-1])
            columns = f"{rate:12.1f} {rate / first:9.2f} {figures[0]:15.1f} {figures[1]:11.1f} {figures[2]:7.0f}"
            print(f"{phase.title:52} {columns}")

    def _times(self, kind: str) -> dict[str, float]:
        """When that happened to each file of the reference."""
        found = (one for one in events(self.flow.home) if one["event"] == kind and one["name"].startswith("good-"))
        return {one["uid"]: time_of(one) for one in found if kind == "accepted" or one["plugin"] == "good"}


def run(day: Day) -> bool:
    """The day, from the morning to the evening; whether every file is where it should be in the end."""
    with ExitStack() as stack, Server(day.machine) as first:
        day.start(first.port)
        stack.enter_context(day.flowing())
        day.phase("all is well", 20)
        with day.broken("stuck"):
            day.phase("a stuck step: every tenth file hangs, timeout = 2", 30)
        with day.broken("leaky"):
            day.phase("a leaking step: 20 MB a file, rlimit_as = 400 MB", 30)
        with day.broken("shaky"):
            for pid in day.flow.pids()["step.shaky.main"]:
                os.kill(pid, signal.SIGKILL)
            day.phase("a step that cannot start any more", 30)
        gone = stack.pop_all()
    with gone:
        day.phase("the server of a sender is down", 120, looks=2)
        with Server(day.machine, port=first.port):
            day.phase("all is mended", 30)
            gone.close()  # no more files come in
            return evening(day)


def evening(day: Day) -> bool:
    """What failed for good is put back, and all files come to their end."""
    kinds = Counter(f"{one['step']} {one['kind']}" for one in day.flow.ask("mfdata.quarantine", "list"))
    print(f"\nin quarantine: {', '.join(f'{count} of {kind}' for kind, count in kinds.items()) or 'nothing'}")
    if kinds:
        print(f"$ mfdata.quarantine retry --all\n{day.flow.run('mfdata.quarantine', 'retry', '--all').strip()}")
    wait_until(day.is_settled, timeout=180, what="all files at their end")
    print("\n-- in the evening")
    day.look()
    day.told()
    books = inventory(day.flow.home)
    print(f"\n{equation(books)}")
    print(f"sent: {len(day.arrived()['send'])} of {day.sent['send']}, by content")
    wrong = day.wrong()
    print(f"{sum(day.sent.values())} files came in, {len(wrong)} of them lost or doubled", *wrong[:5])
    return not wrong and bool(books["balanced"])


def main() -> int:
    """Have a bad day; the exit status."""
    parser = argparse.ArgumentParser(prog="bad-day", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="how long it is: 1 = four minutes and a half")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bad-day-"))
    logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())
    logging.getLogger("pyftpdlib").propagate = False
    day = Day(folder, options.scale)
    try:
        is_good = run(day)
    finally:
        day.flow.try_to("mfdata.stop")
    if is_good:
        shutil.rmtree(folder)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
