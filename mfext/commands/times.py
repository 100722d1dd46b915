"""Times as people write them on a command line."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime

from mfext.errors import UsageError

_UNITS = {"m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float:
    """The time that *text* gives, as ``90``, ``90s``, ``10m``, ``2h``, ``3d``; '' = 0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)|", text.strip())
    if not found:
        raise UsageError(f'"{text}" is not a time', expected="for example 90s, 10m, 2h, 3d")
    return float(found[1] or 0) * _UNITS.get(found[2] or "s", 1)


def moment_of(text: str, now: float) -> float:
    """The moment that *text* gives, in seconds of the epoch: so long before *now*, or a date and time (local)."""
    with suppress(UsageError):
        return now - seconds_of(text)
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise UsageError(f'"{text}" is not a time', expected="for example 90s, 10m, 2h, 3d, 2026-11-30T10:00") from None
