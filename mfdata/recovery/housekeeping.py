"""Housekeeping: what no worker looks after, once a second: due retries, stuck and dead workers, what death left.

It also lets what has been in quarantine for too long expire, and tags and reasons whose file is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mfdata.queue.delayed import Delays
from mfdata.recovery.orphan_reasons import OrphanReasons
from mfdata.recovery.orphan_tags import OrphanTags
from mfdata.recovery.recovery import Recovery
from mfdata.recovery.watchdog import Timeouts, Watch
from mfdata.storage.places import Places
from mfext.log import get_logger

log = get_logger(__name__)

#: Between two looks at all workers' locks, in case that a death was not seen.
_RECOVER_EVERY_S = 60.0


class Housekeeping:
    """Looks after what no worker looks after."""

    def __init__(self, places: Places, recovery: Recovery, timeouts: Timeouts, *others: Callable[[], object]) -> None:
        """*others* are looks at what else ends or is mended in time, each of which knows when it is due."""
        self.delays = Delays(places)
        self.watch = Watch(places, timeouts)
        self._recovery = recovery
        self._acts = [
            self.delays.put_back,
            self.watch.kill_stuck,
            self._recover,
            OrphanTags(places).look,
            OrphanReasons(places).look,
            *others,
        ]
        self._recover_at = 0.0
        self._trouble = ""

    def look(self, progress: Callable[[], None] = lambda: None) -> None:
        """Do all that is to be done now; *progress* is called before each part of it, which may be long."""
        trouble = ""
        for act in self._acts:
            progress()
            try:
                act()
            except OSError as error:  # a full disk: what could not be done is done another time
                trouble = str(error)
        if trouble and trouble != self._trouble:
            log.error("files cannot be put back into their queues", reason=trouble)
        self._trouble = trouble

    def _recover(self) -> None:
        """Bring back what dead workers had; from time to time also where nobody seems to be dead."""
        now = time.monotonic()
        if self.watch.has_dead() or now >= self._recover_at:
            self._recovery.recover()
            self._recover_at = now + _RECOVER_EVERY_S
