"""Deadline: whether a file comes too late for its step (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mfdata.outcome import Expired, Failed
from mfdata.storage.places import Target
from mfdata.storage.tags import accepted_at
from mfext.clock import age


@dataclass(frozen=True)
class Deadline:
    """The deadline of one step."""

    target: Target
    #: From the acceptance of a file until its turn.
    seconds: float
    #: It ends; otherwise it is put into quarantine.
    drops: bool = False

    @property
    def rule(self) -> str:
        """Its name, for the trace."""
        return f"deadline = {self.seconds:g} s of {self.target}"

    def missed(self, tags: Mapping[str, bytes], now: float) -> Failed | Expired | None:
        """What becomes of a file with *tags* whose turn is *now*; None when it is in time."""
        late = age(accepted_at(tags, now), now)
        if late <= self.seconds:
            return None
        reason = f"{self.rule}: {late:.0f} s after it was accepted"
        return Expired(self.rule, reason) if self.drops else Failed(reason, permanent=True, kind="expired")
