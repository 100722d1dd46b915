"""Module mfserv in a home of its own, used through its commands as its users use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mfext.environment import Home
from mfserv.testing import Service
from tests.servers import free_ports

BIN = Path(sys.executable).parent


class Serv:
    """A module with a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home("mfserv", folder / "homes" / "mfserv")
        self.port = free_port()
        self.environment = {
            **os.environ,
            "METWORK_HOME": str(self.home.path.parent),
            "MFMODULE": "MFSERV",
            "METWORK_CONFIG_D": str(folder / "etc"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    @property
    def service(self) -> Service:
        """The router."""
        return Service(("127.0.0.1", self.port))

    def try_to(self, *command: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run *command*; how it ended."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
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

    def configure(self, text: str = "") -> None:
        """Write the module's config.ini."""
        self.home.config.mkdir(parents=True, exist_ok=True)
        # A start must not fail where the machine has much else to do.
        patient = "" if "[supervisor]" in text else "\n[supervisor]\nstart_timeout = 200\n"
        (self.home.config / "config.ini").write_text(f"[http]\nport = {self.port}\n{text}{patient}")

    def plugin(self, name: str, template: str = "asgi", code: str = "", **values: str) -> Path:
        """Make a plugin, without putting it in force."""
        settings = [word for key, value in values.items() for word in ("--set", f"app_main.{key}={value}")]
        self.run("bootstrap_plugin.py", "create", "--no-input", f"--template={template}", *settings, name)
        if code:
            (self.folder / name / "main.py").write_text(code)
        return self.folder / name

    def develop(self, folder: Path) -> None:
        """Put a plugin in force."""
        self.run("plugins.develop", ".", folder=folder)

    def pids(self, process: str) -> list[int]:
        """Pids of the ready copies of a process."""
        return [int(path.name) for path in (self.home.run / "ready" / process).glob("[0-9]*")]

    def access(self) -> list[dict[str, Any]]:
        """The access log."""
        path = self.home.log / "access.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def free_port() -> int:
    """A port of loopback that nobody has, or is given by the kernel."""
    return free_ports(1)[0]
