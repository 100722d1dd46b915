"""Clock: how long ago something was, by a clock that may have been set back since (pure).

What lies in the future was written by a clock that was ahead. Nobody knows how old it is: it counts as of this instant
where its age is shown or something ends by it, and as old where somebody is only told of it or where its turn comes.
"""

from __future__ import annotations

import time

#: File times and clocks of one machine differ by less.
TOLERANCE_S = 1.0


def age(since: float, now: float | None = None) -> float:
    """Seconds since *since*, never negative.

    Args:
        since: epoch seconds.
        now: epoch seconds; None = this instant.
    """
    return max(0.0, (time.time() if now is None else now) - since)


def is_from_the_future(since: float, now: float | None = None) -> bool:
    """Whether *since* (epoch seconds) was written by a clock that has been set back since."""
    return since > (time.time() if now is None else now) + TOLERANCE_S


def is_older(since: float, seconds: float, now: float | None = None) -> bool:
    """Whether *since* (epoch seconds) is more than *seconds* ago, or may be, since the clock was set back."""
    now = time.time() if now is None else now
    return now - since > seconds or is_from_the_future(since, now)
