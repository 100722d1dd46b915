"""What must run: one value for each supervised command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What can change without a restart of what runs.
ADJUSTABLE = frozenset(("numprocesses", "respawn", "graceful_timeout", "stalled_after"))


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
    #: It says itself when it is ready (``Mainloop.ready``); else it is taken for ready once it has lived one second.
    reports_ready: bool = True
    #: Seconds it may take to finish what it does when asked to stop.
    graceful_timeout: float = 30.0
    #: Seconds for which its loop may stand still before it is killed and started again; 0 = for ever.
    stalled_after: float = 0.0
    #: Resource limits by their setrlimit name in lower case (``as``, ``nofile``, ``stack``, ``fsize``); 0 = none.
    rlimits: Mapping[str, int] = field(default_factory=dict)
    #: Limits of all copies together and of what they start, see ``cgroup.LIMITS``; 0 = none.
    cgroup: Mapping[str, float] = field(default_factory=dict)
    #: Variables added to the module's environment.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Changes when what runs has changed although the command has not (code, configuration of a plugin).
    fingerprint: str = ""

    def as_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {**vars(self), "folder": str(self.folder)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Process:
        """The process that ``as_json`` gave *fields* of."""
        return cls(**{**fields, "command": tuple(fields["command"]), "folder": Path(fields["folder"])})

    @property
    def digest(self) -> str:
        """Differs when what runs must be restarted for the process to be as declared."""
        # Processes that run declare their module, too, and need not pay for the import.
        from hashlib import sha256

        fields = {key: value for key, value in self.as_json().items() if key not in ADJUSTABLE}
        return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
