"""Arrival: a file that is being accepted: who it is, where it was found, under which name it will wait."""

from __future__ import annotations

import os
from typing import NamedTuple

from mfdata.storage.names import USUAL_PRIORITY, waiting_name
from mfdata.storage.places import Target
from mfdata.storage.tags import Tags, first_tags, new_uid


class Arrival(NamedTuple):
    """All that is decided of a file before anything is done with it."""

    #: Absolute; bytes that are not UTF-8 are held as ``os.fsdecode`` does.
    directory: str
    name: str
    #: The step that gets it, as ``plugin/step``.
    target: str
    uid: str
    #: The name in the queue.
    waiting: str
    priority: int
    size: int

    @property
    def path(self) -> str:
        """Where it was found."""
        return f"{self.directory}/{self.name}"

    @property
    def tags(self) -> Tags:
        """Its first tags."""
        tags = first_tags(self.uid, os.fsencode(self.name), os.fsencode(os.path.basename(self.directory)))
        if self.priority != USUAL_PRIORITY:
            tags["latest.core.priority"] = b"%d" % self.priority
        return tags

    @property
    def accepted(self) -> dict[str, object]:
        """The event that begins its life in the trace."""
        return {
            "event": "accepted",
            "uid": self.uid,
            "name": self.name,
            "size": self.size,
            "directory": self.directory,
            "file": self.waiting,
            "to": [self.target],
        }

    def not_taken(self, reason: str) -> dict[str, object]:
        """The event that corrects ``accepted`` when the file could not be taken after all."""
        return {"event": "ignored", "uid": self.uid, "name": self.name, "directory": self.directory, "reason": reason}


def arrival_of(directory: str, name: str, target: Target, size: int, priority: int = USUAL_PRIORITY) -> Arrival:
    """A new identity for the file *name* in *directory*."""
    return Arrival(directory, name, str(target), new_uid(), waiting_name(os.fsencode(name), priority), priority, size)
