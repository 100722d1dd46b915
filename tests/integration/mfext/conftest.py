"""A home with released plugins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfext.commands.cli import run
from mfext.environment import Home, home_of
from mfext.plugin.marker import Marker, markers

COMMANDS = Path(sys.executable).parent

#: A step that takes nothing.
GOOD = "from mfdata import Step\n\nif __name__ == '__main__':\n    Step.main()\n"


class Site:
    """Module mfdata in a home of its own, and a folder in which plugins are made."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.home: Home = home_of("mfdata")
        self.capfd = capfd

    def says(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of ``metwork plugins ARGUMENTS``."""
        self.capfd.readouterr()
        status = run(["plugins", *map(str, arguments)])
        return (status, *self.capfd.readouterr())

    def does(self, *arguments: str | Path) -> str:
        """What ``metwork plugins ARGUMENTS``, which must succeed, says."""
        status, out, err = self.says(*arguments)
        assert status == 0, f"{arguments}: {status}\n{out}{err}"
        return out

    def refuses(self, *arguments: str | Path) -> str:
        """What ``metwork plugins ARGUMENTS``, which must fail, complains of."""
        status, out, err = self.says(*arguments)
        assert status != 0, out
        return err

    def plugin(self, name: str, version: str = "1.0", general: str = "", more: str = "", code: str = GOOD) -> Path:
        """The folder of a plugin, written anew; *general* and *more* are lines of its two sections."""
        folder = self.folder / "sources" / name
        folder.mkdir(parents=True, exist_ok=True)
        version = f"version = {version}\n" if version else ""
        (folder / "config.ini").write_text(f"[general]\nname = {name}\n{version}{general}\n[step_main]\n{more}")
        (folder / "main.py").write_text(code)
        return folder

    def release(self, name: str, version: str = "1.0", general: str = "", more: str = "", code: str = GOOD) -> Path:
        """The archive of such a plugin."""
        folder = self.plugin(name, version, general, more, code)
        before = set(self.folder.glob("*.plugin"))
        self.does("release", "--to", self.folder, folder)
        made = set(self.folder.glob("*.plugin")) - before
        return made.pop() if made else next(self.folder.glob(f"{name}-{version}-*.plugin"))

    def listed(self) -> dict[str, dict[str, Any]]:
        """The list of plugins, by name, without those that are built in."""
        return {one["name"]: one for one in json.loads(self.does("list", "--json")) if not one["builtin"]}

    def versions(self) -> dict[str, str]:
        """The version of each installed plugin."""
        return {name: one["version"] for name, one in self.listed().items()}

    def markers(self) -> dict[str, Marker]:
        """The notes of the installed releases."""
        return markers(self.home)

    def pids(self, name: str) -> set[str]:
        """Of the ready copies of the step ``main`` of a plugin."""
        folder = self.home.run / "ready" / f"step.{name}.main"
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def rpm(self, *arguments: str | Path) -> str:
        """What rpm itself says of the home's database."""
        done = subprocess.run(
            ["rpm", "--dbpath", str(self.home.var / "rpm"), *map(str, arguments)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def leftovers(self) -> list[str]:
        """What an installation leaves beside the plugins, which is nothing."""
        return [path.name for path in self.home.plugins.iterdir() if path.name.startswith(".")]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Site]:
    """A home of mfdata that does not run; whatever a test starts in it is stopped."""
    monkeypatch.setenv("METWORK_HOME", str(tmp_path / "homes"))
    monkeypatch.setenv("METWORK_CONFIG_D", str(tmp_path / "etc"))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    monkeypatch.setenv("MFDATA_SUPERVISOR_START_TIMEOUT", "200")
    monkeypatch.setenv("PATH", f"{COMMANDS}:{os.environ['PATH']}")
    # The caller's settings of rpm must not matter.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")
    monkeypatch.chdir(tmp_path)
    yield Site(tmp_path, capfd)
    run(["mfdata", "stop"])


@pytest.fixture
def running(site: Site) -> Site:
    """The same with the module running."""
    assert run(["mfdata", "start"]) == 0
    return site
