"""A module with plugins as small as can be, and folders that hold such plugins, for the tests beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfext.configuration.inifile import RawConfig
from mfext.environment import Home
from mfext.module import Module
from mfext.option import option
from mfext.section import Config, FreeSection, Schema, Section
from mfext.supervision.process import Process


@dataclass(frozen=True)
class Job(Section):
    """Something that runs."""

    cmd: str = option("{PYTHON} main.py", help="What runs.")
    count: int = option(1, minimum=0, help="How many of it.")


def module(
    builtin: Sequence[Path] = (),
    check: Callable[..., None] = lambda *_: None,
    processes: Callable[..., Any] = lambda *_: [],
) -> Module:
    """A module called ``mfdata`` whose plugins have ``[job_*]`` and ``[switch_rules:*]``."""
    return Module(
        name="mfdata",
        summary="for tests",
        schema=Schema({}),
        plugin_schema=Schema({"job_*": Job, "switch_rules:*": FreeSection}),
        folders=lambda config: [],
        builtin_plugins=lambda config: builtin,
        processes=processes,
        check=check,
        publish=lambda *_: None,
        commands=list,
    )


def process(home: Home, config: Config, plugins: Sequence[Any]) -> list[Process]:
    """One process for each ``[job_*]``."""
    return [
        Process(
            f"{plugin.name}.{name}", tuple(plugin.config.section(name, Job).cmd.split()), plugin.folder, plugin.name
        )
        for plugin in plugins
        for name in plugin.config.names("job_*")
    ]


NO_CONFIG = Schema({}).load(RawConfig(), {})


def made(folder: Path, name: str = "", more: str = "[job_main]\n") -> Path:
    """The folder of a plugin *name* (by default called like it), which is made."""
    folder.mkdir(parents=True)
    (folder / "config.ini").write_text(f"[general]\nname = {name or folder.name}\n{more}")
    return folder
