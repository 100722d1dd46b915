"""What must run: one value for each supervised command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A command that the supervisor keeps running, once or several times."""

    #: Unique in the module and safe as a file name, for example ``step.archive_image.main``.
    name: str
    #: Program and arguments, no shell.
    command: tuple[str, ...]
    #: Working folder.
    folder: Path
    #: The plugin that it belongs to; '' for a process of the module itself.
    plugin: str = ""
    numprocesses: int = 1
    #: Start with the module.
    autostart: bool = True
    #: Start again when it ends.
    respawn: bool = True
    #: Seconds it may take to finish what it does when asked to stop.
    graceful_timeout: float = 30.0
    #: Resource limits by their setrlimit name in lower case (``as``, ``nofile``, ``stack``, ``fsize``); 0 = none.
    rlimits: Mapping[str, int] = field(default_factory=dict)
    #: Variables added to the module's environment.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Changes when what runs has changed although the command has not (code, configuration of a plugin).
    fingerprint: str = ""
