"""Reload: every worker of some apps is replaced, one after the other, without a request lost.

A worker that does not leave in time is killed: it stands still, or what it has in hand has no end.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

from mfext import log
from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.supervision.supervisor import Supervisor
from mfserv.app import App
from mfserv.processes import worker_name

_log = log.get_logger(__name__)

#: Seconds between two looks at the workers; those that the old ones may take to leave besides their graceful_timeout;
#: and those that the new ones may take to be ready.
_LOOK, _LATE, _START = 0.1, 5.0, 30.0


def reload(home: Home, apps: Sequence[App]) -> int:
    """Replace the workers of *apps*, and tell how many; what others do is not touched.

    Raises:
        ServiceUnavailable: nothing runs, or a worker has no successor in time.
    """
    names = {worker_name(app, slot) for app in apps for slot in app.slots}
    before = _ready(home, names)
    if not before:
        raise ServiceUnavailable("no worker runs", where=str(home.path))
    for pid in (pid for pids in before.values() for pid in pids):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)
    slowest = max(app.settings.graceful_timeout for app in apps)
    time_to_kill = time.monotonic() + slowest + _LATE
    left = set(before)
    while left:
        now = Supervisor(home).states(left)
        left -= {one.name for one in now if set(one.ready) - before[one.name]}
        if left and time.monotonic() > time_to_kill:
            _kill({pid for one in now if one.name in left for pid in one.pids} & set().union(*before.values()))
        if left and time.monotonic() > time_to_kill + _START:
            raise ServiceUnavailable(f"not replaced in time: {', '.join(sorted(left))}", mend="See mfserv.apps")
        time.sleep(_LOOK)
    return len(before)


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            _log.warning("a worker did not leave in time and is killed", worker_pid=pid)


def _ready(home: Home, names: set[str]) -> dict[str, set[int]]:
    return {one.name: set(one.ready) for one in Supervisor(home).states() if one.name in names and one.ready}
