"""A module under test: every way that a file can go, and the equation that must hold whatever happened to it."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mfdata.operations.inventory import inventory
from mfdata.storage.places import LOCK
from mfext.testing import wait_until
from tests.system.conftest import Flow, below

_FAULTS, _PLUGIN = Path(__file__).with_name("faults"), Path(__file__).with_name("plugin")
#: The name under which the points of commands are known.
COMMAND = "command"

#: What the name of a file with the same content as another one ends with.
_REPEAT = ".repeat"

#: What each kind of file must have become in the end: how often it is in ``out/a``, ``out/b``, ``out/path``, kept.
KINDS: dict[str, dict[str, int]] = {
    "one": {"a": 1},
    "two": {"a": 1, "b": 1},
    "linked": {"a": 1, "b": 1},
    "made": {"a": 1},
    "many": {"a": 2, "b": 2},
    "again": {"a": 1},
    "bad": {"kept": 1},
    "ends": {},
    "named": {"path": 1},
    "named+one": {"path": 1, "a": 1},
    "both": {"b": 1},
    "stray": {"kept": 1},
    "held": {"a": 1},
    "packed": {"a": 1},
    "each": {"a": 1, "b": 1},
    "sour": {"kept": 1},
    "moved": {"b": 1},
    "later": {"a": 1},
    "twice": {"a": 1},
    "mended": {"a": 1},
    "stuck": {"a": 1},
}
#: All but the one that takes seconds, since the housekeeping must first find that its step is stuck.
QUICK_KINDS = tuple(kind for kind in KINDS if kind != "stuck")


class Unbalanced(AssertionError):
    """The inventory equation does not hold."""

    def __init__(self, message: str, lost: int, doubled: int) -> None:
        super().__init__(message)
        self.lost = lost
        self.doubled = doubled


class ModuleUnderTest:
    """A module with one plugin through which files go in every way; its processes hear of armed faults."""

    def __init__(self, folder: Path, **sections: dict[str, str]) -> None:
        self.flow = Flow(folder)
        self.home = self.flow.home
        self.faults = folder / "faults"
        self.flow.environment |= {"PYTHONPATH": str(_FAULTS), "METWORK_FAULTS": str(self.faults)}
        self.sent: dict[str, str] = {}
        #: Processes that were killed, by whomever.
        self.kills = 0
        self._number = 0
        self._told = (0, 0)
        self._deadly: set[Path] = set()
        self._sections = sections

    def start(self) -> None:
        """Make the plugin and start everything."""
        for folder in (self.faults, self.flow.folder / "held"):
            folder.mkdir(parents=True, exist_ok=True)
        # A file that was in the hands of a hundred killed workers is no poison, and nobody waits between two kills.
        sections = {
            "safety": {"max_crashes": "100000"},
            "supervisor": {"max_backoff": "0", "watch_dev_links": "0"},
        }
        for name, keys in self._sections.items():
            sections[name] = sections.get(name, {}) | keys
        self.flow.configure(**sections)
        plugin = self.flow.folder / "m"
        shutil.copytree(_PLUGIN, plugin, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        self.flow.run("mfdata.start")
        self.flow.run("plugins.develop", ".", folder=plugin)
        self.flow.incoming.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        """Stop everything."""
        self.flow.try_to("mfdata.stop")

    def send(self, kinds: Iterable[str] = QUICK_KINDS) -> None:
        """Let one file of each of *kinds* come in."""
        self.show(self.prepare(kinds))

    def prepare(self, kinds: Iterable[str] = QUICK_KINDS) -> list[str]:
        """Write one file of each of *kinds* under a hidden name in the incoming directory; their names."""
        names = []
        for kind in kinds:
            self._number += 1
            name = f"{kind}-{self._number:07d}"
            part = self.flow.incoming / f".{name}"
            part.write_bytes(name.encode())
            if kind == "held":
                os.link(part, self.flow.folder / "held" / name)
            if kind == "twice":
                part.with_name(f".{name}{_REPEAT}").write_bytes(name.encode())
                names.append(f"{name}{_REPEAT}")
            names.append(name)
        return names

    def show(self, names: Iterable[str]) -> None:
        """Let the files that were prepared as *names* come in."""
        for name in names:
            self.sent[name.removesuffix(_REPEAT)] = name.partition("-")[0]
            (self.flow.incoming / f".{name}").rename(self.flow.incoming / name)

    def hidden(self, names: Iterable[str]) -> list[str]:
        """Those of *names* that have not been shown."""
        return [name for name in names if (self.flow.incoming / f".{name}").exists()]

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until nothing is on its way; what waits in quarantine to be put back is put back."""
        deadline = time.monotonic() + timeout
        wait_until(self.is_settled, timeout=timeout, what="all files at their end")
        while any(path.name.split("-")[3] == "mended" for path in self.kept()):
            # Which may die on its way, or be refused.
            self.flow.try_to("mfdata.quarantine", "retry", "--all", "--kind", "mended", METWORK_FAULTS_AS=COMMAND)
            left = deadline - time.monotonic()
            if left < 0:
                raise TimeoutError("a file that is to be put back stays in quarantine")
            wait_until(self.is_settled, timeout=left, what="all files at their end, once put back")

    def kept(self) -> list[Path]:
        """The files in quarantine."""
        reasons = self.home.var.glob("quarantine/*/[!.]*.json")
        return [path for path in (reason.with_suffix("") for reason in reasons) if path.exists()]

    def is_settled(self) -> bool:
        """Whether no file is on its way, looked at twice: one may be handed over during a look."""
        return self.flow.is_idle() and not self._intents() and self.flow.is_idle()

    def _intents(self) -> list[Path]:
        return [*self.home.var.glob("work/.intake/*.intent"), *self.flow.incoming.glob(".metwork-*")]

    def check(self) -> dict[str, Any]:
        """What the books say; every file that was sent is where it should be, as often as it should be.

        Raises:
            Unbalanced: something is lost or doubled.
        """
        found, expected = self.found(), self.expected()
        wrong = [
            f"{name} in {place}: {found[name, place]} for {expected[name, place]}"
            for name, place in sorted({*found, *expected})
            if found[name, place] != expected[name, place]
        ]
        books = inventory(self.home)
        leftovers = self.leftovers()
        if wrong or leftovers or not books["balanced"]:
            raise Unbalanced(
                f"files: {wrong[:10]}; books: missing {books['missing'][:5]}, surplus {books['surplus'][:5]}; "
                f"left over: {leftovers[:5]}",
                lost=(expected - found).total(),
                doubled=(found - expected).total(),
            )
        return books

    def leftovers(self) -> list[str]:
        """What is on its way and belongs to no live process; the dead are given time to be seen to."""
        with suppress(TimeoutError):
            wait_until(lambda: not self._leftovers(), timeout=15, what="nothing left over")
        return self._leftovers()

    def _leftovers(self) -> list[str]:
        var = self.home.var
        found = [path for path in below(var / "work", 3) if path.name != LOCK]
        # What its worker never made public holds nothing, and goes when it is a minute old.
        steps = [path for path in below(var / "work", 2) if not path.parent.name.startswith(".")]
        workers = [path for path in steps if not path.name.startswith(".new-")]
        found += [path for path in workers if not Path("/proc", path.name.partition("-")[0]).exists()]
        found += [*var.glob("work/.intake/*"), *var.glob("in/*/.metwork-*"), *var.glob("delayed/*/*")]
        return [str(path.relative_to(var)) for path in found]

    def strays(self) -> list[str]:
        """Tags and reasons without their file: what a death may leave behind, one each."""
        var, kept = self.home.var, {path.name for path in self.kept()}
        found = [path for path in var.glob("tags/*") if path.name not in kept]
        found += [path for path in var.glob("quarantine/*/*") if path.name.removesuffix(".json") not in kept]
        return [str(path.relative_to(var)) for path in found]

    def since_last(self) -> tuple[int, int]:
        """How many files came in, and how many processes were killed, since this was asked last."""
        before, self._told = self._told, (self._number, self.kills)
        return self._number - before[0], self.kills - before[1]

    def expected(self) -> Counter[tuple[str, str]]:
        """How often the content of each file sent should be in each place."""
        wanted: Counter[tuple[str, str]] = Counter()
        for name, kind in self.sent.items():
            wanted.update({(name, place): count for place, count in KINDS[kind].items()})
        return wanted

    def found(self) -> Counter[tuple[str, str]]:
        """How often the content of each file is in each place."""
        places = {"a": self.home.path / "out" / "a", "b": self.home.path / "out" / "b"}
        places["path"] = self.home.path / "out" / "path"
        there = [(place, path) for place, folder in places.items() if folder.is_dir() for path in folder.iterdir()]
        there += [("kept", path) for path in self.kept()]
        return Counter((name, place) for place, path in there for name in path.read_text().split())

    def arm(self, process: str, point: str, error: int = 0) -> Path:
        """Let *process* die, or be refused with *error*, at *point*; the file that is there until it comes to it."""
        armed = self.faults / "armed" / process / point
        armed.parent.mkdir(parents=True, exist_ok=True)
        part = armed.with_name(f".{point}")
        part.write_text(str(error or ""))
        (self._deadly.discard if error else self._deadly.add)(armed)
        return part.rename(armed)

    def seen(self) -> set[tuple[str, str]]:
        """The commit points that were passed, as process and point."""
        return {(path.parent.name, path.name) for path in self.faults.glob("seen/*/*")}

    def pids(self, process: str) -> list[int]:
        """Of the live processes of that name."""
        return self.flow.pids().get(process, [])

    def kill(self, process: str) -> bool:
        """kill -9 the processes of that name; whether there was one."""
        pids = self.pids(process)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
                self.kills += 1
        return bool(pids)

    def happens(self, armed: Path, timeout: float) -> bool:
        """Whether the fault has happened within *timeout* seconds."""
        with suppress(TimeoutError):
            wait_until(lambda: not armed.exists(), timeout=timeout, what="the fault")
        return not armed.exists()

    def disarm(self, armed: Path) -> bool:
        """Whether the fault has happened; if not, it cannot any more."""
        try:
            armed.unlink()
        except FileNotFoundError:
            self.kills += armed in self._deadly
            return True
        return False
