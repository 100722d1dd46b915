"""A whole module, used through its commands as its users use it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mfdata.storage.places import Places, Target
from mfext.environment import Home
from tests.shared import made_once
from tests.system.installed import NAMES, PYTHON, build

BIN = Path(sys.executable).parent


def names_in(folder: Path) -> list[str]:
    """The names in *folder*; none when it has gone: folders of workers come and go."""
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def below(folder: Path, levels: int) -> list[Path]:
    """All that lies so many *levels* below *folder*."""
    found = [folder]
    for _ in range(levels):
        found = [path / name for path in found for name in names_in(path)]
    return found


class Flow:
    """Module mfdata in a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home("mfdata", folder / "homes" / "mfdata")
        self.places = Places(self.home)
        self.incoming = self.places.incoming / "incoming"
        self.environment = {
            **os.environ,
            "METWORK_HOME": str(self.home.path.parent),
            "MFMODULE": "MFDATA",
            "MFDATA_SUPERVISOR_START_TIMEOUT": "200",
            "METWORK_CONFIG_D": str(folder / "etc"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    def try_to(
        self, *command: str | Path, folder: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run *command*, with more *variables* in its environment; how it ended."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=folder or self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=240,
        )

    def run(self, *command: str | Path, folder: Path | None = None) -> str:
        """The output of *command*, which must succeed."""
        done = self.try_to(*command, folder=folder)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *command: str) -> Any:
        """What *command* says with ``--json``."""
        return json.loads(self.run(*command, "--json"))

    def plugin(self, name: str, template: str = "default", code: str = "", **values: str) -> Path:
        """Make and dev-link a plugin."""
        settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        self.run("bootstrap_plugin.py", "create", "--no-input", f"--template={template}", *settings, name)
        folder = self.folder / name
        if code:
            (folder / "main.py").write_text(code)
        self.run("plugins.develop", ".", folder=folder)
        return folder

    def drop(self, name: str | bytes, content: bytes) -> None:
        """Let a complete file appear in the incoming directory."""
        part = self.incoming / f".part-{os.getpid()}"
        part.write_bytes(content)
        part.rename(self.incoming / os.fsdecode(name))

    def configure(self, **sections: dict[str, str]) -> None:
        """Write the module's config.ini."""
        self.home.config.mkdir(parents=True, exist_ok=True)
        lines = [
            line
            for section, keys in sections.items()
            for line in (f"[{section}]", *(f"{key} = {value}" for key, value in keys.items()))
        ]
        (self.home.config / "config.ini").write_text("\n".join(lines) + "\n")

    def pids(self) -> dict[str, list[int]]:
        """Pids of the live processes by name, as they say themselves."""
        found: dict[str, list[int]] = defaultdict(list)
        for path in below(self.home.run / "ready", 2):
            if path.name.isdigit() and Path("/proc", path.name).exists():
                found[path.parent.name].append(int(path.name))
        return found

    def count(self) -> Counter[str]:
        """How many files lie in each state, from the disk alone."""
        places = self.places
        counts: Counter[str] = Counter()
        counts["incoming"] = len([path for path in self.incoming.iterdir() if not path.name.startswith(".")])
        counts["waiting"] = sum(len(names_in(path)) for path in places.incoming.glob("step.*"))
        counts["claimed"] = sum(path.name[0].isdigit() for path in below(places.works, 3))
        counts["delayed"] = len(below(places.delays, 2))
        counts["quarantined"] = sum(path.match("[!.]*.json") for path in below(places.quarantines, 2))
        return counts

    def is_idle(self) -> bool:
        """Whether no file is on its way."""
        # A file that changes hands between two counts is missed, but not by as many looks as there are hands.
        under_way = ("incoming", "waiting", "claimed", "delayed")
        return not any(counts[state] for counts in (self.count() for _ in range(4)) for state in under_way)

    def quarantine(self, target: str) -> list[dict[str, Any]]:
        """The reasons in the quarantine of a step."""
        folder = self.places.quarantine(Target.of(target))
        return [json.loads(path.read_bytes()) for path in sorted(folder.glob("[!.]*.json"))]


@pytest.fixture
def new_flow(tmp_path: Path) -> Iterator[Callable[[], Flow]]:
    """Makes modules that are not started; they are stopped in the end."""
    made: list[Flow] = []

    def make() -> Flow:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Flow(folder))
        return made[-1]

    yield make
    for flow in made:
        flow.try_to("mfdata.stop")


@pytest.fixture
def flow(new_flow: Callable[[], Flow]) -> Flow:
    """A started module."""
    flow = new_flow()
    flow.run("mfdata.start")
    return flow


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two releases, each a repository: ``1`` and ``2``."""
    for program in ("rpmbuild", "createrepo_c"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}: tools/system-packages")
    if b"Python 3.1" not in subprocess.run([PYTHON, "--version"], capture_output=True).stdout:
        pytest.skip(f"{PYTHON} is too old")

    def make(folder: Path) -> None:
        for release in ("1", "2"):
            build(folder / release, release, *NAMES, "metwork-mfserv")

    return made_once(tmp_path_factory, "rpms", make)
