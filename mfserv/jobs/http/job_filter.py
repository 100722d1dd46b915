"""JobFilter: which jobs a client wants listed, by the query parameters of OGC API - Processes (pure)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mfext.clock import age
from mfserv.jobs.http.problem import Problem
from mfserv.jobs.job import Job, Status

_OPEN = ("", "..")


@dataclass(frozen=True)
class JobFilter:
    """What is asked for; nothing said = any."""

    statuses: frozenset[Status] = frozenset()
    processes: frozenset[str] = frozenset()
    #: Created from and to, seconds since 1970.
    created: tuple[float, float] = (-math.inf, math.inf)
    #: Seconds from the start to the end, or to this instant.
    least: float = 0.0
    most: float = math.inf

    @property
    def is_of_store(self) -> bool:
        """Whether the store sees to all of it itself."""
        return self == JobFilter(self.statuses, self.processes)

    def holds(self, job: Job, now: float) -> bool:
        """Whether *job* is wanted, as far as the store does not see to it itself."""
        if not self.created[0] <= job.created <= self.created[1]:
            return False
        if self.least == 0 and self.most == math.inf:
            return True
        return bool(job.started) and self.least <= age(job.started, job.finished or now) <= self.most


def job_filter(words: Callable[[str], Sequence[str]]) -> JobFilter:
    """The filter that the query asks for.

    Args:
        words: gives the values of a parameter.

    Raises:
        Problem: one of them says nothing that could be meant.
    """
    if set(words("type")) - {"process"}:
        raise Problem(400, '"type" is "process": there are no jobs of another type')
    return JobFilter(
        statuses=frozenset(map(_status, words("status"))),
        processes=frozenset(words("processID")),
        created=_interval(words("datetime")),
        least=_seconds("minDuration", words("minDuration"), 0.0),
        most=_seconds("maxDuration", words("maxDuration"), math.inf),
    )


def _status(word: str) -> Status:
    try:
        return Status(word)
    except ValueError:
        raise Problem(400, f'There is no status "{word}"', f"Known: {', '.join(Status)}.") from None


def _interval(words: Sequence[str]) -> tuple[float, float]:
    """An instant, or two with ``/`` between, of which one may be open (RFC 3339)."""
    if not words:
        return -math.inf, math.inf
    first, slash, last = words[0].partition("/")
    if not slash:
        # An instant is as long as it was written: to the second.
        return _instant(first), _instant(first) + 0.999999
    if first in _OPEN and last in _OPEN:
        raise Problem(400, '"datetime" is open at both ends')
    return (-math.inf if first in _OPEN else _instant(first)), (math.inf if last in _OPEN else _instant(last))


def _instant(text: str) -> float:
    try:
        # What is not escaped in a query comes with a blank where the + of an offset was.
        time = datetime.fromisoformat(re.sub(r" (?=\d\d:\d\d$)", "+", text))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Problem(400, f'"{text}" in "datetime" is no time', "Write 2026-01-31T12:00:00Z, or FROM/TO.") from None


def _seconds(name: str, words: Sequence[str], default: float) -> float:
    if not words:
        return default
    if not re.fullmatch(r"[0-9]{1,12}", words[0]):
        raise Problem(400, f'"{name}" is a whole number of seconds')
    return float(words[0])
