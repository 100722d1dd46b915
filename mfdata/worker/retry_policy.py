"""Retry policy: what becomes of a file after a try: handed over, tried again and when, quarantined, dropped (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from mfdata.config import StepConfig
from mfdata.outcome import Done, Expired, Failed, Hold, Outcome, Retry


@dataclass(frozen=True)
class Policy:
    """What a step declares for files that failed, as ``StepConfig`` has it; seconds."""

    retry_total: int
    retry_min_wait: float
    retry_max_wait: float
    retry_backoff: float
    #: ``quarantine``, ``delete`` or ``move:PLUGIN/STEP``.
    failure_policy: str


@dataclass(frozen=True)
class HandOver:
    """Deliver what the outcome says."""

    outcome: Done


@dataclass(frozen=True)
class Delay:
    """Try again after ``wait`` seconds, for the ``attempt``-th time."""

    wait: float
    attempt: int
    reason: str


@dataclass(frozen=True)
class Keep:
    """Put the file into quarantine."""

    kind: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Drop:
    """Let the file end: the policy says so."""

    reason: str


@dataclass(frozen=True)
class Divert:
    """Hand the failed file to the step that the policy names."""

    to: str
    reason: str


Decision = HandOver | Delay | Keep | Drop | Divert | Hold | Expired


def decide(outcome: Outcome | None, attempts: int, policy: Policy, jitter: float) -> Decision:
    """What happens to a file after *attempts* new tries have already been made.

    *jitter* from 0 to 1 spreads the waits by up to a quarter, so that files which failed together do not return
    together.
    """
    if outcome is None:
        return HandOver(Done())
    if isinstance(outcome, Done):
        return HandOver(outcome)
    if isinstance(outcome, (Hold, Expired)):
        return outcome
    if isinstance(outcome, Retry) and not outcome.counts:
        return Delay(_asked(outcome, attempts, policy, jitter), attempts, outcome.reason)
    may_heal = isinstance(outcome, Retry) or not outcome.permanent
    if may_heal and attempts < policy.retry_total:
        return Delay(_asked(outcome, attempts, policy, jitter), attempts + 1, outcome.reason)
    return _give_up(outcome, attempts, policy)


def _asked(outcome: Retry | Failed, attempts: int, policy: Policy, jitter: float) -> float:
    asked = outcome.after if isinstance(outcome, Retry) else None
    return asked if asked is not None else next_wait(attempts + 1, policy) * (1 + jitter / 4)


def next_wait(attempt: int, policy: Policy) -> float:
    """Seconds to wait before the *attempt*-th new try (from 1), without jitter."""
    growth = policy.retry_backoff * 2.0 ** min(attempt - 1, 60)
    return min(policy.retry_min_wait + growth, policy.retry_max_wait)


def _give_up(outcome: Retry | Failed, attempts: int, policy: Policy) -> Decision:
    reason = outcome.reason or "the step asked for another try"
    if attempts:
        reason = f"{reason} (after {attempts + 1} tries)"
    kind, traceback = (outcome.kind, outcome.traceback) if isinstance(outcome, Failed) else ("failed", "")
    name, _, target = policy.failure_policy.partition(":")
    # What a rule or nobody wanted was not tried by the step, so that its failure policy does not speak of it.
    if kind != "failed" or name == "quarantine":
        return Keep(kind, reason, traceback)
    return Drop(reason) if name == "delete" else Divert(target, reason)


def policy_of(config: StepConfig) -> Policy:
    """What *config* declares for files that failed."""
    return Policy(
        config.retry_total,
        config.retry_min_wait,
        config.retry_max_wait,
        config.retry_backoff,
        config.failure_policy,
    )
