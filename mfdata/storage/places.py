"""Where a file lies in each state; where it lies is its state (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mfext.environment import Home

#: In the folder of a worker: the file on which it holds a flock for as long as it lives.
LOCK = ".lock"


class Target(NamedTuple):
    """A step of a plugin, as a place where files wait."""

    plugin: str
    step: str

    @classmethod
    def of(cls, name: str, own_plugin: str = "") -> Target:
        """The target written ``plugin/step``, or ``step`` of *own_plugin*."""
        plugin, slash, step = name.partition("/")
        return cls(plugin, step) if slash else cls(own_plugin, name)

    @property
    def folder(self) -> str:
        """Name of its folder below ``work``, ``delayed`` and ``quarantine``."""
        return f"{self.plugin}.{self.step}"

    def __str__(self) -> str:
        return f"{self.plugin}/{self.step}"


@dataclass(frozen=True)
class Places:
    """The folders of a module home in which files lie, all on one file system."""

    home: Home

    @property
    def incoming(self) -> Path:
        """Below it lie the external directories and the queues."""
        return self.home.var / "in"

    @property
    def works(self) -> Path:
        """Below it: one folder a step, in it one folder a worker."""
        return self.home.var / "work"

    @property
    def delays(self) -> Path:
        """Below it: one folder a step with the files that wait for a retry."""
        return self.home.var / "delayed"

    @property
    def quarantines(self) -> Path:
        """Below it: one folder a step with the files kept and the reasons."""
        return self.home.var / "quarantine"

    @property
    def sidecars(self) -> Path:
        """Tags that did not fit into the extended attribute, one file a waiting name."""
        return self.home.var / "tags"

    @property
    def intake(self) -> Path:
        """Where intake copies files that cannot be renamed in."""
        return self.home.var / "work" / ".intake"

    @property
    def rules(self) -> Path:
        """The switch's rules in force."""
        return self.home.run / "rules"

    def queue(self, target: Target) -> Path:
        """Complete files that wait for *target*."""
        return self.incoming / f"step.{target.folder}"

    def work(self, target: Target) -> Path:
        """One folder for each worker of *target*."""
        return self.works / target.folder

    def delayed(self, target: Target) -> Path:
        """Files of *target* that wait for a retry; their names start with the due time."""
        return self.delays / target.folder

    def quarantine(self, target: Target) -> Path:
        """Files of *target* that are kept, each with its reason beside it."""
        return self.quarantines / target.folder


def target_of_folder(name: str) -> Target:
    """The target whose folder below ``work``, ``delayed`` or ``quarantine`` is called *name*.

    A plugin's name holds no dot, so the first one ends it.
    """
    plugin, _, step = name.partition(".")
    return Target(plugin, step)
