"""What releasing and installing a plugin of 300 files takes, beside bare rpmbuild and rpm on the same files.

The commands of MetWork do more: they check the plugin, wait until its processes are ready, and can go back. Then: how
many files per second another plugin gets while this one is upgraded, beside what it gets before; and what commands take
where many plugins are. CPU is of the command and of what it starts itself, not of the supervisor and its processes.

Bytecode is kept, as in an installed module.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
FILES, SIZE = 300, 2000
#: Seconds of each measurement of files per second, and files that are kept waiting so that the other plugin has work.
WINDOW_S, BACKLOG = 4.0, 200

SPEC = """
Name: bare
Version: {version}
Release: 1
Summary: x
License: x
BuildArch: noarch
Prefix: /bare
AutoReqProv: no
%description
x
%install
mkdir -p %{{buildroot}}
cp -r {source} %{{buildroot}}/bare
%files
/bare
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns, of which the median counts (default %(default)s)")
    # Each step has an inotify instance, of which a user gets 128 on most machines.
    parser.add_argument("--plugins", type=int, default=50, help="how many there are at last (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        bench.run("mfdata.start")
        try:
            for _ in range(options.rounds):
                bench.turn()
            bench.show()
            bench.show_rates()
            bench.show_many(options.plugins)
        finally:
            bench.run("mfdata.stop")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, rpm {_rpm_version()}")


@dataclass
class Bench:
    """A home, a plugin in two versions, and what each act on them took."""

    folder: Path
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    cpu: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment: Mapping[str, str] = {
            **inherited,
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
            "METWORK_HOME": str(self.folder / "homes"),
            "METWORK_CONFIG_D": str(self.folder / "etc"),
            "MFMODULE": "MFDATA",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        self.sources = {version: self._source(version) for version in ("1.0", "1.1")}

    def turn(self) -> None:
        """Every act once, ours and the bare one beside it."""
        archives, bare = {}, {}
        for version, source in self.sources.items():
            self.timed("build", "ours", "plugins.release", "--to", self.folder, source)
            archives[version] = next(self.folder.glob(f"big-{version}-*.plugin"))
            self.timed("build", "bare", *self._rpmbuild(version, source))
            bare[version] = next(self.folder.glob(f"rpms/noarch/bare-{version}-*.rpm"))
        rpm: list[str | Path] = ["rpm", "--dbpath", self.folder / "rpmdb"]
        relocated: list[str | Path] = ["-U", "--prefix", self.folder / "bare"]
        acts: tuple[tuple[str, Sequence[str | Path], Sequence[str | Path]], ...] = (
            ("install until it runs", ["plugins.install", archives["1.0"]], [*rpm, *relocated, bare["1.0"]]),
            (
                "upgrade until it runs",
                ["plugins.install", "--upgrade", archives["1.1"]],
                [*rpm, *relocated, bare["1.1"]],
            ),
            ("roll back", ["plugins.rollback", "big"], [*rpm, *relocated, "--oldpackage", bare["1.0"]]),
            ("uninstall", ["plugins.uninstall", "big"], [*rpm, "-e", "bare"]),
        )
        for act, ours, theirs in acts:
            self.timed(act, "ours", *ours)
            self.timed(act, "bare", *theirs)

    def timed(self, act: str, whose: str, *command: str | Path) -> None:
        """Note what *command* takes."""
        start, used = time.perf_counter(), _cpu()
        self.run(*command)
        self.seconds.setdefault((act, whose), []).append(time.perf_counter() - start)
        self.cpu.setdefault((act, whose), []).append(_cpu() - used)

    def run(self, *command: str | Path) -> None:
        """Run *command*, which must succeed."""
        words = [str(word) for word in command]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")

    def show(self) -> None:
        """Print the medians."""
        print(f"s, a plugin of {FILES} files{'MetWork':>16}{'bare':>10}{'ratio':>10}{'CPU':>10}{'bare CPU':>10}")
        for act in dict.fromkeys(act for act, _ in self.seconds):
            ours, bare = (statistics.median(self.seconds[act, whose]) for whose in ("ours", "bare"))
            cpu, bare_cpu = (statistics.median(self.cpu[act, whose]) for whose in ("ours", "bare"))
            print(f"{act:26}{ours:15.3f}{bare:10.3f}{ours / bare:10.1f}{cpu:10.3f}{bare_cpu:10.3f}")

    def show_rates(self) -> None:
        """Print the files per second of another plugin before and during upgrades."""
        other = self._plugin(self.folder / "other", "other", "1.0", "switch_logical_condition = True\n")
        self.run("plugins.develop", other)
        self.run("plugins.install", next(self.folder.glob("big-1.0-*.plugin")))
        archives = [next(self.folder.glob(f"big-{version}-*.plugin")) for version in ("1.1", "1.0")]
        before = self._rate(lambda: time.sleep(0.2))
        during = self._rate(lambda: self._swap(archives))
        print(f"\nfiles/s of another plugin: {before:.0f} before, {during:.0f} during upgrades ({during / before:.0%})")

    def show_many(self, count: int) -> None:
        """Print what commands take where *count* plugins are."""
        plugins = self.folder / "homes" / "mfdata" / "var" / "plugins"
        for number in range(count):
            name = f"many{number}"
            (plugins / name).symlink_to(self._plugin(self.folder / name, name, "1.0", ""))
        one = self._plugin(self.folder / "one_more", "one_more", "1.0", "")
        self.timed("restart", "many", "mfdata.restart", "--timeout", "300")
        for _ in range(3):
            self.timed("develop one more", "many", "plugins.develop", one)
            self.timed("list", "many", "plugins.list")
            self.timed("info", "many", "plugins.info", "many0")
            self.timed("status", "many", "mfdata.status")
        print(f"\n{f's, {count} plugins':26}{'MetWork':>15}{'CPU':>10}")
        for act in (act for act, whose in self.seconds if whose == "many"):
            seconds, cpu = (statistics.median(measured[act, "many"]) for measured in (self.seconds, self.cpu))
            print(f"{act:26}{seconds:15.3f}{cpu:10.3f}")

    def _swap(self, archives: Sequence[Path]) -> None:
        for archive in archives:
            self.run("plugins.install", "--upgrade", "--downgrade", archive)

    def _rate(self, act: Callable[[], None]) -> float:
        """Files per second that come to their end while *act* is done again and again."""
        incoming = self.folder / "homes" / "mfdata" / "var" / "in" / "incoming"
        done = self.folder / "done"
        done.mkdir(exist_ok=True)
        stop = threading.Event()
        sender = threading.Thread(target=_send, args=(incoming, self.folder / "part", done, stop))
        sender.start()
        time.sleep(1.0)
        start, count = time.perf_counter(), _count(done)
        while time.perf_counter() < start + WINDOW_S:
            act()
        rate = (_count(done) - count) / (time.perf_counter() - start)
        stop.set()
        sender.join()
        return rate

    def _source(self, version: str) -> Path:
        source = self._plugin(self.folder / f"big-{version}", "big", version, "")
        chance = random.Random(version)
        for number in range(FILES - 3):
            path = source / "data" / str(number % 20) / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chance.randbytes(SIZE))
        return source

    def _plugin(self, folder: Path, name: str, version: str, rule: str) -> Path:
        folder.mkdir()
        step = (
            "from pathlib import Path\nfrom mfdata import Done, Step\n\n\nclass Take(Step):\n"
            "    def process(self, file):\n"
            f"        return Done(to=Path({str(self.folder / 'done')!r}, file.basename))\n\n\n"
            'if __name__ == "__main__":\n    Take.main()\n'
        )
        (folder / "config.ini").write_text(f"[general]\nname = {name}\nversion = {version}\n[step_main]\n{rule}")
        (folder / "main.py").write_text(step)
        (folder / "README.md").write_text("x\n")
        return folder

    def _rpmbuild(self, version: str, source: Path) -> list[str | Path]:
        spec = self.folder / f"bare-{version}.spec"
        spec.write_text(SPEC.format(version=version, source=source))
        places = ("--define", f"_topdir {self.folder / 'build'}", "--define", f"_rpmdir {self.folder / 'rpms'}")
        return ["rpmbuild", "-bb", "--quiet", *places, spec]


def _send(incoming: Path, part: Path, done: Path, stop: threading.Event) -> None:
    """Keep some files on their way all the time."""
    sent, gone = 0, _count(done)
    while not stop.is_set():
        if sent - (_count(done) - gone) > BACKLOG:
            time.sleep(0.002)
            continue
        for _ in range(20):
            part.write_bytes(b"x" * 500)
            part.rename(incoming / f"{time.time_ns()}")
            sent += 1


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _cpu() -> float:
    """Seconds that ended children have used, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rpm_version() -> str:
    return subprocess.run(["rpm", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


if __name__ == "__main__":
    main()
