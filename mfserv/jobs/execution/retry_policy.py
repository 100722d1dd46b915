"""Verdict: what becomes of a job after an attempt (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from mfext.clock import age
from mfserv.jobs.config import JobsConfig
from mfserv.jobs.job import Job, Result

#: Answers that mean: not now. The router sheds, the service has no room.
_BUSY = (429, 503)
#: Answers that mean: the service is gone, did not answer or did not get all, another attempt may well succeed.
_BROKEN = (408, 502, 504)


@dataclass(frozen=True)
class Answered:
    """The service answered."""

    result: Result
    #: The body, unless it is in the spool.
    content: bytes = b""
    #: What ``Retry-After`` says; 0 = nothing.
    retry_after: float = 0.0


@dataclass(frozen=True)
class Unreachable:
    """The service was not reached: it did not see the job."""

    reason: str


@dataclass(frozen=True)
class BrokenOff:
    """There is no answer, or not all of it; what the service did is not known."""

    reason: str


@dataclass(frozen=True)
class Hopeless:
    """No attempt can succeed."""

    reason: str


@dataclass(frozen=True)
class Stopped:
    """The runner itself ends."""


Outcome = Answered | Unreachable | BrokenOff | Hopeless | Stopped


@dataclass(frozen=True)
class Keep:
    """The answer is the result."""

    result: Result


@dataclass(frozen=True)
class Fail:
    """The job has failed."""

    reason: str


@dataclass(frozen=True)
class TryAgain:
    """Somebody tries again."""

    reason: str
    wait: float
    #: Whether the attempt is one of those that a job has.
    counts: bool


Verdict = Keep | Fail | TryAgain


def verdict(job: Job, outcome: Outcome, now: float, settings: JobsConfig) -> Verdict:
    """What becomes of *job*, whose attempt ended with *outcome*."""
    match outcome:
        case Stopped():
            return TryAgain("the runner was stopped", 0, counts=False)
        case Hopeless():
            return Fail(outcome.reason)
        case Unreachable():
            return _later(job, outcome.reason, 0, now, settings)
        case BrokenOff():
            return _again(job, outcome.reason, None, settings)
        case Answered(result=result, retry_after=retry_after) if result.http_status in _BUSY:
            return _later(job, f"the service answered {result.http_status}", retry_after, now, settings)
        case Answered(result=result) if result.http_status in _BROKEN:
            return _again(job, f"the service answered {result.http_status}", result, settings)
        case Answered(result=result):
            return Keep(result)


def _again(job: Job, reason: str, result: Result | None, settings: JobsConfig) -> Verdict:
    """Another attempt, if the job has one."""
    if job.attempts < (job.max_attempts or settings.attempts):
        return TryAgain(reason, _pause(job.attempts, settings), counts=True)
    return Keep(result) if result else Fail(f"{reason}, at the last of {job.attempts} attempts")


def _later(job: Job, reason: str, retry_after: float, now: float, settings: JobsConfig) -> Verdict:
    """Another attempt when there is room; being busy is no fault of the job, but nobody waits for ever."""
    waited = age(job.renewed or job.created, now)
    if waited > settings.give_up_after:
        return Fail(f"{reason}, for {waited:.0f} seconds")
    return TryAgain(reason, min(settings.retry_max_wait, max(retry_after, settings.retry_min_wait)), counts=False)


def _pause(attempts: int, settings: JobsConfig) -> float:
    return min(settings.retry_max_wait, settings.retry_min_wait * 2.0 ** min(attempts - 1, 30))
