"""JobCounts: what is counted of the jobs of each process, whoever does them, across all restarts (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mfserv.jobs.job import Job, Status

#: Upper bounds in seconds of the classes into which times are counted; longer ones are in the class after the last.
BOUNDS = (0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0)
#: What is counted of all time. ``submitted`` = ``expired`` and the jobs that there are.
SUBMITTED, EXPIRED, AGAIN = "submitted", "expired", "again"
#: Times that are counted: from submission to the first attempt, and from there to the end.
WAITED, TOOK = "waited", "took"


@dataclass(frozen=True)
class JobCounts:
    """The jobs of one process."""

    #: How many are in each state.
    now: Mapping[Status, int] = field(default_factory=dict)
    #: When the oldest of those that wait was submitted; 0 = none waits.
    oldest: float = 0.0
    #: Counts of all time, by the names that ``counted`` gives.
    ever: Mapping[str, int] = field(default_factory=dict)


def counted(before: Job | None, after: Job) -> dict[str, int]:
    """By how much what is counted of all time grows when *before* becomes *after*."""
    if before is None:
        return {SUBMITTED: 1}
    if before.status is after.status:
        return {}
    found: dict[str, int] = {}
    if after.status is Status.RUNNING and not before.started:
        found |= _time(WAITED, after.started - (after.renewed or after.created))
    if after.status is Status.ACCEPTED:
        found[AGAIN] = 1
    if after.status.is_final and not before.status.is_final:
        found[str(after.status)] = 1
    if after.started and after.status in (Status.SUCCESSFUL, Status.FAILED):
        found |= _time(TOOK, after.finished - after.started)
    return found


def _time(name: str, seconds: float) -> dict[str, int]:
    number = sum(seconds > bound for bound in BOUNDS)
    return {f"{name}_ms": max(0, round(seconds * 1000)), f"{name}_{number}": 1}


def totals(job_counts: Mapping[str, JobCounts]) -> dict[str, int]:
    """Jobs in each state, and all that were ever submitted and forgotten: the first is the sum of the others."""
    states = {str(status): sum(one.now.get(status, 0) for one in job_counts.values()) for status in Status}
    ever = {name: sum(one.ever.get(name, 0) for one in job_counts.values()) for name in (SUBMITTED, EXPIRED)}
    return {**ever, **states}
