"""JobStore: who has which job. An engine keeps records and queue; what may happen to a job is decided here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from mfext.errors import MetworkError
from mfserv.jobs.counts import JobCounts, totals
from mfserv.jobs.job import (
    Job,
    Result,
    Status,
    answered,
    beaten,
    dismissed,
    failed,
    given_back,
    lapsed,
    progressed,
    renewed,
)

#: What a bell tells: there may be work; a job has ended; a client wants one ended that is under way.
WORK, DONE, STOP = "work", "done", "stop"
KINDS = frozenset((WORK, DONE, STOP))


class QueueFull(MetworkError):
    """As many jobs wait as may."""

    def __init__(self, waiting: int, client: str = "", process: str = "") -> None:
        self.waiting = waiting
        self.of_client = bool(client)
        whose = f"of client {client} " if client else f"of {process} " if process else ""
        super().__init__(f"{waiting} jobs {whose}wait already, which is as many as may")


class KeyReused(MetworkError):
    """The Idempotency-Key was used before for another request."""


@dataclass(frozen=True)
class Limits:
    """How many jobs may wait."""

    queue: int
    client: int
    #: Of the same process; 0 = no limit.
    process: int = 0


@dataclass(frozen=True)
class Offer:
    """A job that somebody would like to have done."""

    job: Job
    limits: Limits
    #: Its body, unless that is in the spool.
    body: bytes = b""


class Bell(Protocol):
    """Tells processes that something happened; now and then one looks without having been told, too."""

    @property
    def fd(self) -> int:
        """Becomes readable when it rings."""

    def heard(self) -> set[str]:
        """What rang since the last call."""

    def close(self) -> None:
        """Hear no more."""


Change = Callable[[Job, float], Job | None]


class JobStore(ABC):
    """The jobs of a module; used by one thread at a time.

    Every method raises ``ServiceUnavailable`` when the engine cannot be reached. A job that was submitted or has ended
    is on disk when the method returns. What else happens to it outlives every process, too; when the power is cut, an
    attempt may be forgotten. A job is in one state at any instant, and only whoever has the token of its attempt ends
    it. Jobs of a higher priority come first; within a priority, clients take turns (``job.turn_after``).
    """

    @abstractmethod
    def submit_all(self, offers: Sequence[Offer]) -> list[Job | MetworkError]:
        """Keep and queue new jobs; what became of each.

        That is the job as it is kept, or the one there is already when the client used the same Idempotency-Key
        before; ``QueueFull``: there are too many; ``KeyReused``: the key was used for something else;
        ``ServiceUnavailable``: it could not be queued, and is not kept.
        """

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done inside is on disk when this is over, not before; an engine may so save time, or not."""
        yield

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """The job of that name."""

    @abstractmethod
    def content(self, job_id: str) -> bytes:
        """What is kept with a job: its body as long as it has not ended, its result once it has.

        The body of a job that failed is kept beside the result, for when it is tried anew.
        """

    @abstractmethod
    def claim(self, worker: str, lease: float) -> Job | None:
        """The job to do next, now in the hands of *worker* for *lease* seconds; None when there is none."""

    @abstractmethod
    def change(self, job_id: str, change: Change, content: bytes = b"") -> Job | None:
        """Put what *change* makes of the job and of the time in its place, all at once; None = nothing was changed.

        A job that ends so keeps *content*.
        """

    @abstractmethod
    def remove(self, job_id: str) -> None:
        """Forget a job."""

    @abstractmethod
    def positions(self, jobs: Sequence[Job]) -> list[int]:
        """How many waiting jobs come before each of *jobs*, as things are."""

    @abstractmethod
    def listed(
        self,
        client: str | None = None,
        *,
        statuses: frozenset[Status] = frozenset(),
        processes: frozenset[str] = frozenset(),
        before: int = 0,
        limit: int = 100,
    ) -> list[Job]:
        """Jobs from the newest.

        Args:
            client: of this client only; None = of all.
            statuses: in these states only; none = in any.
            processes: of these only; none = of any.
            before: older than the one with this ``seq``; 0 = from the newest.
            limit: so many at most.
        """

    @abstractmethod
    def orphans(self, dead: frozenset[str] = frozenset()) -> list[str]:
        """Running jobs whose lease is over, or whose worker is among the *dead*."""

    @abstractmethod
    def expired(self) -> list[str]:
        """Jobs to be forgotten."""

    @abstractmethod
    def job_counts(self) -> Mapping[str, JobCounts]:
        """What is counted of the jobs of each process."""

    @abstractmethod
    def now(self) -> float:
        """The time that all hosts of this store agree on."""

    @abstractmethod
    def tend(self) -> None:
        """What the engine needs now and then."""

    @abstractmethod
    def bell(self, kinds: frozenset[str] = KINDS) -> Bell:
        """A new bell that rings when anybody changes something of one of these *kinds*."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    def submit(self, job: Job, limits: Limits, body: bytes = b"") -> Job:
        """What became of one job.

        Raises:
            QueueFull: there are too many.
            KeyReused: the key was used for something else.
        """
        (outcome,) = self.submit_all([Offer(job, limits, body)])
        if isinstance(outcome, MetworkError):
            raise outcome
        return outcome

    def position(self, job: Job) -> int:
        """How many waiting jobs come before *job*, as things are."""
        return self.positions([job])[0]

    def counts(self) -> Mapping[str, int]:
        """Jobs in each state; ``submitted`` and ``expired``: of all time, so that submitted = the sum of the others."""
        return totals(self.job_counts())

    def beat(self, job: Job, lease: float) -> bool:
        """Give a sign of life for the attempt *job*; whether it still has the job."""
        return self.change(job.id, lambda found, now: beaten(found, job.token, now, lease)) is not None

    def progress(self, job_id: str, token: str, progress: int, message: str) -> bool:
        """Note how far an attempt is; whether it still has the job."""
        return self.change(job_id, lambda found, now: progressed(found, token, now, progress, message)) is not None

    def answer(self, job: Job, result: Result, content: bytes = b"") -> bool:
        """End the attempt *job* with what the service said; False = it was too late, the result is nobody's.

        Args:
            job: as it was claimed.
            result: what the service said.
            content: the body of that, unless it is in the spool.
        """
        return self.change(job.id, lambda found, now: answered(found, job.token, now, result), content) is not None

    def fail(self, job: Job, reason: str) -> bool:
        """End the attempt *job*, and the job."""
        return self.change(job.id, lambda found, now: failed(found, job.token, now, reason)) is not None

    def give_back(self, job: Job, reason: str, wait: float = 0.0, *, counts: bool = True) -> bool:
        """End the attempt *job*: somebody shall try again after *wait* seconds."""
        change: Change = lambda found, now: given_back(found, job.token, now, reason, wait, counts=counts)  # noqa: E731
        return self.change(job.id, change) is not None

    def dismiss(self, job_id: str) -> Job | None:
        """Stop a job, or forget the result of a finished one; None when there is no such job."""
        return self.change(job_id, dismissed)

    def renew(self, job_id: str) -> Job | None:
        """Have a job that failed tried anew, behind those that its client has waiting; None when it did not fail."""
        return self.change(job_id, renewed)

    def recover(self, attempts: int, dead: frozenset[str] = frozenset()) -> list[Job]:
        """Give back what dead workers had; the jobs as they are now.

        Args:
            attempts: as many as a job has; after that it has failed.
            dead: workers that are known to be.
        """
        change: Change = lambda job, now: lapsed(job, now, attempts, dead)  # noqa: E731
        found = (self.change(job_id, change) for job_id in self.orphans(dead))
        return [job for job in found if job]


def kinds_of(before: Job, after: Job) -> frozenset[str]:
    """What the bell must tell when a job changes so."""
    if before.status is after.status:
        return frozenset()
    if after.status is Status.ACCEPTED:
        return frozenset((WORK,))
    if not after.status.is_final:
        return frozenset()
    is_under_way = before.status is Status.RUNNING and after.status is Status.DISMISSED
    return frozenset((DONE, STOP)) if is_under_way else frozenset((DONE,))
