"""Flow: what happens to all files: the last events, and those to come."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mfdata.storage.trace import Event, encoded, events
from mfext.environment import Home

#: Every kind of event.
KINDS = (
    *("accepted", "injected", "ignored", "done", "made", "delivered", "dropped", "retried", "held", "failed"),
    *("expired", "quarantined", "replayed", "recovered", "moved"),
)

#: To find the last events not all has to be read: it is looked so many seconds back, and further when these are few.
_BACK_S = (60.0, 3600.0, 86400.0)
#: Time between two looks at what was written.
_INTERVAL_S = 0.5
#: An event is written at most so long after its time: what is younger than that is looked at again.
_LATE_S = 2.0
#: So many events are remembered as told.
_REMEMBERED = 100_000


@dataclass(frozen=True)
class Wanted:
    """Which events are meant; '' = any."""

    #: PLUGIN/STEP, or PLUGIN.
    step: str = ""
    #: accepted, done, quarantined, ...
    kind: str = ""

    def holds(self, event: Event) -> bool:
        """Whether *event* is one of them (pure)."""
        plugin, step = str(event.get("plugin", "")), f"{event.get('plugin')}/{event.get('step')}"
        return self.step in ("", plugin, step) and self.kind in ("", event.get("event"))


def last(home: Home, wanted: Wanted, count: int, since: float | None = None) -> list[Event]:
    """The last *count* events (0 = all) from *since* on (epoch seconds), in the order in which they were written."""
    for back in _BACK_S if count and since is None else ():
        found = _last(home, wanted, count, time.time() - back)
        if len(found) == count:
            return found
    return _last(home, wanted, count, since)


def follow(
    home: Home,
    wanted: Wanted,
    count: int,
    since: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """As :func:`last`, and then each event that is written, without an end."""
    looked = time.time()
    seen = OrderedDict.fromkeys(map(encoded, events(home, looked - _LATE_S - _INTERVAL_S)))
    newest: dict[str, float] = {}
    before = last(home, wanted, count, since)
    yield from before
    seen.update(dict.fromkeys(map(encoded, before)))
    while True:
        sleep(_INTERVAL_S)
        # The clock may have been set back meanwhile.
        since = min(looked, time.time() - _INTERVAL_S) - _LATE_S
        looked = time.time()
        for event in events(home, since):
            key = encoded(event)
            if key in seen or _is_old(event, newest):
                continue
            seen[key] = None
            if wanted.holds(event):
                yield event
        while len(seen) > _REMEMBERED:
            seen.popitem(last=False)


def _last(home: Home, wanted: Wanted, count: int, since: float | None) -> list[Event]:
    found = (event for event in events(home, since) if wanted.holds(event))
    return list(deque(found, maxlen=count or None))


def _is_old(event: Event, newest: dict[str, float]) -> bool:
    """Whether it was told long ago, which its time does not say when the clock was set back since."""
    boot, up = str(event.get("boot")), event.get("up")
    if not isinstance(up, (int, float)):
        return False
    newest[boot] = max(newest.get(boot, up), up)
    return up < newest[boot] - 2 * _LATE_S
