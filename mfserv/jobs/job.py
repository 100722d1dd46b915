"""Job: one request that is answered later, and every way in which its state may change (pure)."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from mfext.clock import is_from_the_future

#: No number of a job is larger, in any engine.
LATEST = 2**53 - 1


class Status(StrEnum):
    """How far a job is, in the words of OGC API - Processes."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Status.SUCCESSFUL, Status.FAILED, Status.DISMISSED)


@dataclass(frozen=True)
class Result:
    """What the service answered."""

    #: Status of the answer.
    http_status: int
    headers: tuple[tuple[str, str], ...]
    #: Name of the file with its body in the spool; '' = it is small and with the record.
    file: str
    size: int

    @property
    def is_success(self) -> bool:
        """Whether the service did what it was asked for."""
        return self.http_status < 400


@dataclass(frozen=True)
class Job:
    """One request and what became of it. Times are seconds since 1970."""

    #: Cannot be guessed: whoever has it may ask for the job.
    id: str
    client: str
    #: The process of OGC API - Processes that it executes: the route.
    process: str
    method: str
    #: Path and query with which the service is called.
    uri: str
    headers: tuple[tuple[str, str], ...]
    created: float
    #: Whether its body lies in the spool, under the name of the job; a small one is with its record.
    in_spool: bool = False
    body_size: int = 0
    #: 0 is done first.
    priority: int = 0
    #: Seconds that the job is kept once it is done.
    ttl: float = 86_400.0
    #: Seconds that one attempt may take.
    timeout: float = 3_600.0
    #: Attempts that it has, and bytes that its result may have; 0 = as the configuration says.
    max_attempts: int = 0
    max_result: int = 0
    #: ``Idempotency-Key`` of the client, and what it was used for.
    key: str = ""
    fingerprint: str = ""
    #: Came through OGC API - Processes; its results come as one JSON document.
    is_process: bool = False
    as_document: bool = False
    #: Only where the result is shall be told.
    by_reference: bool = False

    #: Given by the store: its number, and its turn among those of its priority, which is what makes shares fair.
    seq: int = 0
    turn: int = 0
    status: Status = Status.ACCEPTED
    #: Not to be done before.
    due: float = 0.0
    #: Attempts that were begun and not given back unharmed.
    attempts: int = 0
    #: Who does it, and until when that is believed without a sign of life; ``token`` is of this attempt only.
    worker: str = ""
    token: str = ""
    lease: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    updated: float = 0.0
    #: When an operator had it tried anew.
    renewed: float = 0.0
    #: When it is forgotten; 0 = not yet known.
    expires: float = 0.0
    #: Per cent.
    progress: int = 0
    message: str = ""
    result: Result | None = None

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        """The job that ``to_json`` gave *text* of."""
        fields: dict[str, Any] = json.loads(text)
        result = fields.pop("result")
        headers = _pairs(fields.pop("headers"))
        status = Status(fields.pop("status"))
        kept = Result(**{**result, "headers": _pairs(result["headers"])}) if result else None
        return cls(**fields, headers=headers, status=status, result=kept)


def _pairs(items: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)


def new_id() -> str:
    """A name for a job that nobody can guess."""
    return secrets.token_urlsafe(18)


def claimed(job: Job, worker: str, now: float, lease: float) -> Job | None:
    """*job* in the hands of *worker*, with a new token; None when it is not to be had."""
    if job.status is not Status.ACCEPTED or not is_due(job, now):
        return None
    return replace(
        job,
        status=Status.RUNNING,
        worker=worker,
        token=secrets.token_urlsafe(12),
        lease=now + lease,
        attempts=job.attempts + 1,
        started=job.started or now,
        updated=now,
        progress=0,
        message="",
    )


def is_due(job: Job, now: float) -> bool:
    """Whether *job* may be tried: its wait is over, or was declared by a clock that has been set back since."""
    return job.due <= now or is_from_the_future(job.updated, now)


def is_held(job: Job, token: str) -> bool:
    """Whether the attempt *token* is the one that does *job*."""
    return job.status is Status.RUNNING and job.token == token


def beaten(job: Job, token: str, now: float, lease: float) -> Job | None:
    """*job* after a sign of life of its runner; None when it is no longer its."""
    return replace(job, lease=now + lease) if is_held(job, token) else None


def progressed(job: Job, token: str, now: float, progress: int, message: str) -> Job | None:
    """*job* after its service said how far it is; None when that attempt is over."""
    if not is_held(job, token):
        return None
    return replace(job, progress=max(0, min(100, progress)), message=message, updated=now)


def answered(job: Job, token: str, now: float, result: Result) -> Job | None:
    """*job* with its *result*: successful unless the service says otherwise; None when that attempt is over."""
    if not is_held(job, token):
        return None
    if result.is_success:
        return _ended(replace(job, progress=100), Status.SUCCESSFUL, now, "", result)
    return _ended(job, Status.FAILED, now, f"the service answered {result.http_status}", result)


def failed(job: Job, token: str, now: float, reason: str) -> Job | None:
    """*job* that will not be tried again; None when that attempt is over."""
    return _ended(job, Status.FAILED, now, reason, None) if is_held(job, token) else None


def given_back(job: Job, token: str, now: float, reason: str, wait: float, *, counts: bool) -> Job | None:
    """*job* waiting again; None when that attempt is over.

    Args:
        job: what was tried.
        token: of the attempt.
        now: the time.
        reason: why it is not done.
        wait: seconds before it may be tried again.
        counts: whether the attempt is one of those that the job has.
    """
    return _waiting(job, now, reason, wait, counts=counts) if is_held(job, token) else None


def is_orphan(job: Job, now: float, dead: frozenset[str]) -> bool:
    """Whether the runner of *job* is among the *dead*, or gave no sign of life for too long."""
    return job.status is Status.RUNNING and (job.lease <= now or job.worker in dead)


def lapsed(job: Job, now: float, attempts: int, dead: frozenset[str] = frozenset()) -> Job | None:
    """*job* when it is an orphan: waiting again, or failed when it has no more attempts; None when it is none."""
    if not is_orphan(job, now, dead):
        return None
    if job.attempts >= (job.max_attempts or attempts):
        return _ended(job, Status.FAILED, now, f"the runner died at each of {job.attempts} attempts", None)
    return _waiting(job, now, "the runner died", 0, counts=True)


def dismissed(job: Job, now: float) -> Job:
    """*job* that the client does not want any more, whatever its state was."""
    if job.status is Status.DISMISSED:
        return job
    return replace(_ended(job, Status.DISMISSED, now, "", None), progress=job.progress)


def renewed(job: Job, now: float) -> Job | None:
    """*job*, which has failed, as if it had not been tried; None when it has not failed."""
    if job.status is not Status.FAILED:
        return None
    again = replace(job, attempts=0, started=0.0, finished=0.0, expires=0.0, result=None, renewed=now)
    return _waiting(again, now, "tried anew", 0, counts=True)


def keeps(job: Job, file: str) -> bool:
    """Whether *file* of the spool is still of use to *job*: the body of one that failed is, it may be tried anew."""
    if not job.status.is_final or (job.result and job.result.file == file):
        return True
    return job.status is Status.FAILED and file == job.id


def turn_after(reached: int, own: int) -> int:
    """The turn of a new job, so that clients take turns however many jobs each of them has.

    Within a priority jobs are done by turn. Those of one client follow each other, and none begins before the turn
    that the queue has *reached*: who comes new is next, who has a thousand waiting is not disturbed and does not
    disturb (start-time fair queueing; Goyal, Vin, Cheng 1996).

    Args:
        reached: the highest turn that was claimed.
        own: the highest of those of the same client that wait; 0 = none.
    """
    return max(reached, own) + 1


def _waiting(job: Job, now: float, reason: str, wait: float, *, counts: bool) -> Job:
    return replace(
        job,
        status=Status.ACCEPTED,
        attempts=job.attempts if counts else job.attempts - 1,
        worker="",
        token="",  # nosec B106
        lease=0.0,
        due=now + wait if wait > 0 else 0.0,
        updated=now,
        progress=0,
        message=reason,
    )


def _ended(job: Job, status: Status, now: float, message: str, result: Result | None) -> Job:
    return replace(
        job,
        status=status,
        worker="",
        token="",  # nosec B106
        lease=0.0,
        finished=now,
        updated=now,
        expires=now + job.ttl,
        message=message,
        result=result,
    )
