"""Queue: offer, claim, settle, release; the only owner of "who has this file"."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from mfdata.storage.names import USUAL_PRIORITY


class Claim(NamedTuple):
    """A file that one worker has to itself."""

    #: Its waiting name.
    name: str
    #: Where it lies while it is claimed.
    place: str

    @property
    def path(self) -> Path:
        """``place`` as a path."""
        return Path(self.place)

    @property
    def priority(self) -> int:
        """Its priority in this queue, with which it goes on: the name tells it."""
        return int(self.name[0]) if self.name[:1].isdecimal() else USUAL_PRIORITY


class Queue(Protocol):
    """The files that wait for one step, as one worker of that step sees them."""

    def claim(self) -> Claim | None:
        """The next file, now this worker's alone; None when none waits."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when a file may be waiting after :meth:`claim` found none."""

    def settle(self, claim: Claim) -> None:
        """The file is dealt with, and what was to be handed over has been: forget it."""

    def release(self, claim: Claim) -> None:
        """Put the file back under its old name: somebody else may have it."""

    def depth(self) -> int:
        """Number of files that wait."""

    def oldest(self) -> float | None:
        """Seconds for which the first file has been waiting; None when none waits."""

    def close(self) -> None:
        """Leave the queue; nothing may be claimed."""
