"""A module under test: every way that a file can go, and the equation that must hold whatever happened to it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mfdata.inventory import inventory
from mfext.testing import wait_until
from tests.system.conftest import Flow

_FAULTS = Path(__file__).with_name("faults")

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
    "stuck": {"a": 1},
}
#: All but the one that takes seconds, since the guardian must first find that its step is stuck.
QUICK_KINDS = tuple(kind for kind in KINDS if kind != "stuck")

_CONFIG = """\
[general]
name = m
version = 1.0

[step_main]
numprocesses = 2
timeout = 1
retry_total = 3
retry_min_wait = 0
switch_logical_condition = ( not x['first.core.original_basename'].startswith(b'stray') )

[step_a]
cmd = {PYTHON} sink.py

[step_b]
cmd = {PYTHON} sink.py
switch_logical_condition = ( x['first.core.original_basename'].startswith(b'both') )
"""

_MAIN = '''\
"""Answers as the name of the file asks."""

import time

from mfdata import Done, Failed, Output, Retry, Step


class Main(Step):
    def process(self, file):
        kind = file.basename.partition("-")[0]
        path = self.home.path / "out" / "path" / file.path.name
        if kind in ("made", "many"):
            return self.outputs(file, 1 if kind == "made" else 2)
        if kind == "again" and not file.tags.get("latest.core.attempt"):
            return Retry("not yet", after=0.0)
        if kind == "bad":
            return Failed("no good", permanent=True)
        if kind == "stuck":
            self.hang_once(file)
        return {
            "two": Done(to=["a", "b"]),
            "linked": Done(to=["a*", "b*"]),
            "ends": Done(),
            "both": Done(),
            "named": Done(to=path),
            "named+one": Done(to=[path, "a"]),
        }.get(kind, Done(to="a"))

    def outputs(self, file, count):
        made = [self.output(f"{file.basename}.{number}") for number in range(count)]
        for path in made:
            path.write_bytes(file.path.read_bytes())
        return Done(*(Output(path, ("a",) if count == 1 else ("a", "b")) for path in made))

    def hang_once(self, file):
        mark = self.home.path / "stuck" / file.basename
        mark.parent.mkdir(exist_ok=True)
        if not mark.exists():
            mark.touch()
            time.sleep(60)


if __name__ == "__main__":
    Main.main()
'''

_SINK = '''\
"""Puts the file under its waiting name, so that what was handed over twice is there twice."""

from mfdata import Done, Step


class Sink(Step):
    def process(self, file):
        return Done(to=self.home.path / "out" / self.name / file.path.name)


if __name__ == "__main__":
    Sink.main()
'''


class Unbalanced(AssertionError):
    """The inventory equation does not hold."""


class ModuleUnderTest:
    """A module with one plugin through which files go in every way; its processes hear of armed faults."""

    def __init__(self, folder: Path, **sections: dict[str, str]) -> None:
        self.flow = Flow(folder)
        self.home = self.flow.home
        self.faults = folder / "faults"
        self.flow.environment |= {"PYTHONPATH": str(_FAULTS), "METWORK_FAULTS": str(self.faults)}
        self.sent: dict[str, str] = {}
        self._number = 0
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
        plugin.mkdir(exist_ok=True)
        for name, text in (("config.ini", _CONFIG), ("main.py", _MAIN), ("sink.py", _SINK)):
            (plugin / name).write_text(text)
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
            names.append(name)
        return names

    def show(self, names: Iterable[str]) -> None:
        """Let the files that were prepared as *names* come in."""
        for name in names:
            self.sent[name] = name.partition("-")[0]
            (self.flow.incoming / f".{name}").rename(self.flow.incoming / name)

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until nothing is on its way."""
        wait_until(self.is_settled, timeout=timeout, what="all files at their end")

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
        if wrong or not books["balanced"]:
            raise Unbalanced(
                f"files: {wrong[:10]}; books: missing {books['missing'][:5]}, surplus {books['surplus'][:5]}"
            )
        return books

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
        there += [("kept", path.with_suffix("")) for path in self.home.var.glob("quarantine/*/[!.]*.json")]
        return Counter((path.read_bytes().decode(), place) for place, path in there)

    def arm(self, process: str, point: str, error: int = 0) -> Path:
        """Let *process* die, or be refused with *error*, at *point*; the file that is there until it comes to it."""
        armed = self.faults / "armed" / process / point
        armed.parent.mkdir(parents=True, exist_ok=True)
        part = armed.with_name(f".{point}")
        part.write_text(str(error or ""))
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
        return bool(pids)

    def wait_for(self, armed: Path, timeout: float) -> bool:
        """Whether the fault happens within *timeout* seconds."""
        deadline = time.monotonic() + timeout
        while armed.exists():
            if time.monotonic() > deadline:
                armed.unlink(missing_ok=True)
                return False
            time.sleep(0.01)
        return True
