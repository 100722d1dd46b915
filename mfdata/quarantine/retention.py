"""Expiry: files that have been in quarantine for longer than they may are deleted, each with a line in the trace."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from mfdata.quarantine import quarantine
from mfdata.quarantine.quarantine import REASON, Kept
from mfdata.storage.places import Places
from mfdata.storage.trace import Trace
from mfext.errors import Conflict
from mfext.log import get_logger

log = get_logger(__name__)

#: Between two looks, and at least so many times what a look costs.
_EVERY_S = 60.0
_LOOK_COST = 20
#: Nothing expires in this time after the clock was set: it may be set right again.
_DISTRUST_S = 3600.0
_CLOCK_SET_S = 60.0
#: A last look that is longer ago than this was long ago, or the clock is wrong.
_LONG_AGO_S = 86_400.0


class Expiry:
    """Deletes from quarantine, for one process."""

    def __init__(self, places: Places, trace: Trace, lifetime: float) -> None:
        """*lifetime* in seconds; 0 = nothing expires."""
        self._places = places
        self._trace = trace
        self._lifetime = lifetime
        self._look_at = time.monotonic()
        self._ahead = time.time() - time.monotonic()
        #: Its time of change is that of the last look, also of processes before.
        self._mark = places.home.run / "expiry"
        self._is_first = True

    def look(self) -> int:
        """Delete what has expired, if it is time to look; how many files that were."""
        start = time.monotonic()
        if not self._lifetime or self._clock_was_set(start) or start < self._look_at:
            return 0
        if self._is_first and self._was_long_ago():
            log.warning("it is long ago, or the clock is wrong: for an hour nothing in quarantine expires")
            self._look_at = start + _DISTRUST_S
            return 0
        with suppress(OSError):  # on a full disk, deleting is what helps
            self._mark.touch()
        rule = f"[quarantine] lifetime = {self._lifetime:g} s"
        count = 0
        with suppress(Conflict):  # somebody is at work on the quarantine: another time
            for kept in self._expired():
                count += quarantine.expire(self._places, kept, self._trace, rule)
        now = time.monotonic()
        self._look_at = now + max(min(_EVERY_S, self._lifetime / 10), _LOOK_COST * (now - start))
        return count

    def _was_long_ago(self) -> bool:
        """Whether this is the first look since a time when the clock may have been another one."""
        self._is_first = False
        with suppress(FileNotFoundError):
            return time.time() - self._mark.stat().st_mtime > _LONG_AGO_S
        return False

    def _clock_was_set(self, now: float) -> bool:
        """See whether the clock went ahead; if so, wait before it is believed."""
        before, self._ahead = self._ahead, time.time() - now
        if self._ahead < before + _CLOCK_SET_S:
            return False
        log.warning("the clock was set ahead: for an hour nothing in quarantine expires")
        self._look_at = now + _DISTRUST_S
        return True

    def _expired(self) -> Iterator[Kept]:
        oldest = time.time() - self._lifetime
        for kept in quarantine.kept_files(self._places):
            # Its reason was written when it was put there; one that cannot be read does not tell when.
            with suppress(FileNotFoundError):
                if kept.time < oldest and os.stat(f"{kept.path}{REASON}").st_mtime < oldest:
                    yield kept
