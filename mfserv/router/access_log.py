"""Traffic: what was asked of each app in the last minute, from the router's access log."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mfext.clock import age, is_from_the_future

#: Seconds that are looked at, and bytes of the log that are read for them at the most.
WINDOW, _LONGEST = 60.0, 4_000_000
#: Of a line; what clients say stands between quotes that they cannot close.
_LINE = re.compile(
    rb'^\{"t":([0-9]+\.[0-9]+),[^\n]*?"app":"([^"]*)"[^\n]*?"status":(-?[0-9]+),[^\n]*?"total_ms":(-?[0-9]+)',
    re.ASCII | re.MULTILINE,
)


@dataclass(frozen=True)
class Traffic:
    """What was asked of an app."""

    #: Requests a second.
    rate: float = 0.0
    #: Milliseconds within which 95 of 100 were answered.
    p95_ms: int = 0
    #: Requests that the service, or the router for it, did not answer as it should: from 500 on, or not at all.
    failed: int = 0


def traffic(log: Path, now: float) -> dict[str, Traffic]:
    """By the id of the app, what was asked in the last minute, or since the part of *log* that is read begins."""
    found: dict[str, list[tuple[float, int, int]]] = {}
    for time, app, status, took in _LINE.findall(_tail(log)):
        if not is_from_the_future(float(time), now) and age(float(time), now) <= WINDOW:
            found.setdefault(app.decode("utf-8", "replace"), []).append((float(time), int(status), int(took)))
    return {app: _summary(requests, now) for app, requests in found.items()}


def _summary(requests: list[tuple[float, int, int]], now: float) -> Traffic:
    took = sorted(one[2] for one in requests)
    # A log that was cut holds less than a minute.
    span = max(1.0, min(WINDOW, age(requests[0][0], now))) if len(requests) > 1 else WINDOW
    failed = sum(1 for _, status, _ in requests if status >= 500 or status < 0)
    return Traffic(round(len(requests) / span, 2), max(0, took[(len(took) * 95 - 1) // 100]), failed)


def _tail(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LONGEST))
            return file.read()
    except OSError:
        return b""


def traffic_of(app: str, found: Mapping[str, Traffic]) -> Traffic:
    """The traffic of *app*, which may have had none."""
    return found.get(app, Traffic())
