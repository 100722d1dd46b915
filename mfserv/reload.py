"""Reload: every worker of some apps is replaced, one after the other, without a request lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.supervisor import Supervisor
from mfserv.app import App
from mfserv.processes import worker_name

#: Seconds between two looks at the new workers, and those that they may take besides what the old ones have in hand.
_LOOK, _START = 0.1, 30.0


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
    slowest = sum(sorted((app.settings.graceful_timeout for app in apps), reverse=True)[:1])
    deadline = time.monotonic() + slowest + _START
    left = set(before)
    while left:
        now = _ready(home, left)
        left -= {name for name, pids in now.items() if pids - before[name]}
        if left and time.monotonic() > deadline:
            raise ServiceUnavailable(f"not replaced in time: {', '.join(sorted(left))}", mend="See mfserv.apps")
        time.sleep(_LOOK)
    return len(before)


def _ready(home: Home, names: set[str]) -> dict[str, set[int]]:
    return {one.name: set(one.ready) for one in Supervisor(home).states() if one.name in names and one.ready}
