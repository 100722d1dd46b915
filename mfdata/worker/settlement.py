"""Settlement: what the decision on a claimed file means, carried out: one action for each decision."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mfdata.config import Safety
from mfdata.delivery.fan_out import (
    FanOut,
    derived_events,
    distinct,
    is_for_itself,
    passed_on,
    replaced_by,
    with_free_name,
)
from mfdata.delivery.transaction import Delivery, OtherName, Transactions, remove_transaction
from mfdata.file import File
from mfdata.outcome import Done, Expired, Hold, Outcome
from mfdata.quarantine import quarantine
from mfdata.queue.protocol import Claim, Queue
from mfdata.step import Step
from mfdata.storage.names import delayed_name, prepared_path
from mfdata.storage.places import Target
from mfdata.storage.retag import retag
from mfdata.storage.tags import Tags, before_entry
from mfdata.storage.trace import Trace
from mfdata.worker.retry_policy import Decision, Delay, Divert, Drop, HandOver, Keep, decide, policy_of

#: The rule by which a file ends that is not there any more.
_REMOVED = "the step removed its file"

#: The fields that all events of one file have.
_Facts = dict[str, object]


class Settlement:
    """Brings the files of one step to their next states; each is recorded in the trace before it moves."""

    def __init__(self, step: Step, queue: Queue, trace: Trace, safety: Safety) -> None:
        """Args: the step, its queue, its trace, and how safely files are kept."""
        self.target = Target(step.plugin, step.name)
        self.transactions = Transactions(step.places, durable=safety.durability == "power")
        #: Whether the trace records an end of the file in hand, which may not have come to it.
        self.is_recorded = False
        #: Until when the step wants no file, by the monotonic clock; 0 = it does.
        self.held_until = 0.0
        self._step = step
        self._queue = queue
        self._trace = trace
        self._durable = safety.durability == "power"
        self._policy = policy_of(step.config)
        self._fan_out = FanOut(step.plugin)
        self._sidecars = os.fspath(step.places.sidecars)
        self._is_holding = False
        self._actions: Mapping[type[Decision], Callable[[Claim, File, Any, _Facts], None]] = {
            HandOver: self._hand_over,
            Delay: self._delay,
            Keep: self._quarantine,
            Drop: self._drop,
            Divert: self._divert,
            Expired: self._expire,
            Hold: self._hold,
        }

    def settle(self, claim: Claim, file: File, outcome: Outcome | None, duration: float) -> None:
        """Do what *outcome* (None = done) means for *file*, on which the step worked for *duration* seconds.

        Raises:
            OSError: it cannot be done now.
        """
        self.is_recorded = False
        attempts = int(file.tags.get("latest.core.attempt", b"0"))
        decision = decide(outcome, attempts, self._policy, random.random())  # noqa: S311, spreads waits
        if _needs_file(decision) and not os.path.lexists(claim.place):
            self._step.log.error("the step removed a file that it has not done with", uid=file.uid, file=file.basename)
            decision = HandOver(Done(dropped_by=_REMOVED))
        facts: _Facts = {"uid": file.uid, "name": file.basename, "duration": round(duration, 6)}
        self._actions[type(decision)](claim, file, decision, facts)
        self._is_holding = isinstance(decision, Hold)
        if self._step.made_outputs:
            with suppress(OSError):
                remove_transaction(prepared_path(claim.place))

    def hand_over_together(
        self, claims: Sequence[Claim], files: Sequence[File], tags: Tags, outcome: Done, duration: float
    ) -> None:
        """End all *files* and hand over what was made of them, in one instant; *tags* are those of what was made.

        Raises:
            OSError: it cannot be done now.
        """
        self.is_recorded = False
        first = claims[0]
        derived = self._fan_out.of_outputs(first, outcome, files[0], tags | outcome.tags)
        each = {
            "event": "done",
            "duration": round(duration / len(files), 6),
            "to": [],
            "into": [uid for uid, _, _ in derived],
        }
        self._record(
            *({**each, "uid": file.uid, "name": file.basename} for file in files),
            *derived_events(derived, files[0]),
        )
        deliveries = [delivery for _, _, deliveries in derived for delivery in deliveries]
        ends = [claim.place for claim in claims[1:]]
        self._record_other_names(self.transactions.hand_over(first.place, deliveries, ends), files[0])

    def _hand_over(self, claim: Claim, file: File, decision: HandOver, facts: _Facts) -> None:
        outcome = decision.outcome
        tags = passed_on(file.tags) | outcome.tags
        wanted = own = self._fan_out.of_itself(claim, outcome, tags)
        has_paths = any(isinstance(to, Path) for to in outcome.to)
        if has_paths:
            own = list(map(with_free_name, wanted))
        derived = self._fan_out.of_outputs(claim, outcome, file, tags)
        if outcome.dropped_by:
            event: _Facts = {"event": "dropped", **facts, "rule": outcome.dropped_by}
        else:
            event = {"event": "done", **facts, "to": [str(delivery.to) for delivery in own]}
        deliveries = distinct([*own, *(delivery for one in derived for delivery in one.deliveries)])
        if outcome.note:
            event["note"] = outcome.note
        if has_paths or derived:
            more = {
                "taken": [str(one.to) for one, other in zip(wanted, own, strict=True) if one.to != other.to],
                "replaced": replaced_by(deliveries),
            }
            event |= {name: value for name, value in more.items() if value}
        self._record(event, *derived_events(derived, file))
        self._record_other_names(self.transactions.hand_over(claim.place, deliveries), file)

    def _record_other_names(self, others: Sequence[OtherName], file: File) -> None:
        """Correct what was recorded of paths that another process took meanwhile."""
        for wanted, path in others:
            facts = {"uid": file.uid, "name": file.basename, "to": [str(path)]}
            self._trace.write({"event": "placed", **facts, "reason": f"{wanted} was taken meanwhile"})

    def _delay(self, claim: Claim, file: File, delay: Delay, facts: _Facts) -> None:
        due = time.time() + delay.wait
        # The next try is a try of the same entry into the step.
        tags = {
            **before_entry(file.tags, self.target.plugin, self.target.step),
            "latest.core.attempt": str(delay.attempt).encode(),
        }
        self._record(
            {"event": "retried", **facts, "attempt": delay.attempt, "due": round(due, 3), "reason": delay.reason}
        )
        retag(claim.place, tags, self._sidecars, durable=self._durable)
        folder = self._step.places.delayed(self.target)
        folder.mkdir(parents=True, exist_ok=True)
        os.rename(claim.place, folder / delayed_name(claim.name, due))

    def _quarantine(self, claim: Claim, file: File, keep: Keep, facts: _Facts) -> None:
        self._record({"event": "quarantined", **facts, "kind": keep.kind, "reason": keep.reason})
        reason = {"kind": keep.kind, "reason": keep.reason, **({"traceback": keep.traceback} if keep.traceback else {})}
        quarantine.keep(self._step.places, claim.path, self.target, file.tags, reason, durable=self._durable)

    def _drop(self, claim: Claim, _file: File, drop: Drop, facts: _Facts) -> None:
        self._record({"event": "dropped", **facts, "rule": "failure_policy", "reason": drop.reason})
        self._queue.settle(claim)

    def _divert(self, claim: Claim, file: File, divert: Divert, facts: _Facts) -> None:
        self._record({"event": "failed", **facts, "reason": divert.reason, "to": [divert.to]})
        target = Target.of(divert.to, self.target.plugin)
        self.transactions.hand_over(
            claim.place, [Delivery(claim.place, target, passed_on(file.tags), priority=claim.priority)]
        )

    def _expire(self, claim: Claim, _file: File, expired: Expired, facts: _Facts) -> None:
        self._record({"event": "expired", **facts, "rule": expired.rule, "reason": expired.reason})
        self._queue.settle(claim)

    def _hold(self, claim: Claim, _file: File, hold: Hold, facts: _Facts) -> None:
        if not self._is_holding:
            self._record({"event": "held", **facts, "reason": hold.reason})
        self._queue.release(claim)
        self.held_until = time.monotonic() + hold.wait

    def _record(self, *events: Mapping[str, object]) -> None:
        self.is_recorded = True
        self._trace.write(*events)


def _needs_file(decision: Decision) -> bool:
    """Whether the file itself goes on, or waits."""
    if isinstance(decision, HandOver):
        return bool(decision.outcome.to) and is_for_itself(decision.outcome)
    return not isinstance(decision, (Drop, Expired))
