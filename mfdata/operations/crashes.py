"""Deaths: the files on which workers died lately, why, and what becomes of them."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from mfdata.storage.trace import Event, events, time_of
from mfext.clock import age
from mfext.environment import Home
from mfext.log import printable
from mfext.table import duration

_LATELY_S = 600.0


def deaths(home: Home, max_crashes: int) -> list[dict[str, Any]]:
    """Of each step on whose files a worker died in the last ten minutes: how often, and the last time in words."""
    now = time.time()
    times: Counter[str] = Counter()
    last: dict[str, Event] = {}
    for event in events(home, now - _LATELY_S, b'"crashes"'):
        if event.get("crashes") and event.get("counts", True) and time_of(event) >= now - _LATELY_S:
            step = f"{event.get('plugin')}/{event.get('step')}"
            times[step] += 1
            last[step] = event
    return [
        {
            "step": step,
            "deaths": times[step],
            "last": f"{duration(age(time_of(event), now))} ago",
            "file": printable(str(event.get("name"))),
            "reason": event.get("reason"),
            "next": _next(event, max_crashes),
        }
        for step, event in sorted(last.items())
    ]


def _next(event: Event, max_crashes: int) -> str:
    """What becomes of the file (pure)."""
    if event["event"] == "quarantined":
        return "it is in quarantine, see mfdata.quarantine"
    return f"it was put back to be tried again; death {event['crashes']} of {max_crashes}, then it is quarantined"
