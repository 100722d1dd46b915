"""The commands that a person would type in ``metwork shell mfdata``, each shown before it runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Where the commands are: beside the Python that runs the demo.
BIN = Path(sys.executable).parent


class Shell:
    """Module mfdata with its home below *homes*, worked in from a terminal."""

    def __init__(self, homes: Path) -> None:
        self.home = homes / "mfdata"
        # A make that runs in the demo is nobody's sub-make.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        self._environment = {
            **inherited,
            "METWORK_HOME": str(homes),
            "MFMODULE": "MFDATA",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, *command: str, folder: str = "") -> None:
        """Show *command*, run it in *folder* of the home and let its output through.

        Raises:
            CalledProcessError: it failed.
        """
        if not self.succeeds(*command, folder=folder):
            raise subprocess.CalledProcessError(1, shlex.join(command))

    def succeeds(self, *command: str, folder: str = "") -> bool:
        """As ``run``, but whether it succeeded."""
        prompt = f"[mfdata:~{'/' if folder else ''}{folder}] $"
        print(f"{prompt} {_bold(shlex.join(command))}", flush=True)
        return not subprocess.run(command, cwd=self.home / folder, env=self._environment).returncode

    def ask(self, *command: str) -> Any:
        """What *command*, with ``--json``, says; nothing is shown."""
        done = subprocess.run(command, cwd=self.home, env=self._environment, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def write(self, name: str, *lines: str) -> None:
        """Write *lines* into a file of the home, as with an editor."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*lines, ""]), "utf-8")
        print(f"    {_bold(f'~/{name}')}:  {'  '.join(_hidden(line) for line in lines)}", flush=True)

    def edit(self, plugin: str, **values: str) -> None:
        """Set keys in the ``config.ini`` of a plugin, as with an editor: where they stand, commented or not."""
        path = self.home / plugin / "config.ini"
        text = path.read_text("utf-8")
        for key, value in values.items():
            line = f"{key} = {value}"
            literal = line.replace("\\", r"\\")
            text, count = re.subn(rf"^(# )?{key} =.*$", literal, text, count=1, flags=re.MULTILINE)
            if not count:
                raise LookupError(f"{path} has no key {key}")
            print(f"    {_bold(f'~/{plugin}/config.ini')}:  {_hidden(line)}", flush=True)
        path.write_text(text, "utf-8")


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text


def _hidden(line: str) -> str:
    key, equals, value = line.partition(" = ")
    return f"{key}{equals}{'*' * 8}" if key.startswith("passw") else f"{key}{equals}{value}"
