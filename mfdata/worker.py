"""Worker: the loop of every step process: claim, run, decide, settle."""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mfdata import heldup, quarantine
from mfdata.answer import Answers, wrong_tag
from mfdata.config import Safety, StepConfig
from mfdata.deadline import Deadline
from mfdata.delivery import Delivery, Leg, OtherName, remove_transaction
from mfdata.file import File, before_entry, read_tags
from mfdata.legs import (
    Legs,
    distinct,
    is_for_itself,
    made_events,
    name_taken,
    passed_on,
    replaced_by,
    with_free_name,
)
from mfdata.names import committed_path, delayed_name, prepared_path
from mfdata.outcome import (
    Decision,
    Delay,
    Divert,
    Done,
    Drop,
    Expired,
    Failed,
    HandOver,
    Hold,
    Keep,
    Outcome,
    Policy,
    decide,
)
from mfdata.places import Target
from mfdata.queue import Claim, Queue
from mfdata.retagging import retag
from mfdata.step import Step
from mfdata.trace import Trace
from mfext.clock import age
from mfext.disk import is_no_room
from mfext.log import utc
from mfext.mainloop import Mainloop

_LONGEST_PAUSE_S = 30.0
#: The rule by which a file ends that is not there any more.
_REMOVED = "the step removed its file"
#: The next file may take as long as this one: after a file that took longer, nothing is left to be brought to disk.
_SLOW_S = 0.01


@dataclass
class Unfinished:
    """A file that is neither at its next place nor back in its queue: the disk is full."""

    claim: Claim
    #: Whether the trace tells of an end that it has not come to.
    was_told: bool
    #: Why.
    reason: str


class Worker:
    """Gives the files of one queue to one step."""

    def __init__(self, step: Step, queue: Queue, trace: Trace, safety: Safety) -> None:
        self.step = step
        self._pid = os.getpid()
        self.target = Target(step.plugin, step.name)
        self._queue = queue
        self._trace = trace
        self._places = step.places
        self._sidecars = os.fspath(step.places.sidecars)
        self._safety = safety
        self._policy = policy_of(step.config)
        self._answers = Answers(step.places, step.plugin, step.required)
        self._delivery = Delivery(step.places, durable=safety.durability == "power")
        self._deadline = _deadline_of(self.target, step.config)
        self._legs = Legs(step.plugin)
        self._pause = 0.0
        self._held_up_since = 0.0
        #: Until when the step wants no file, by the monotonic clock; 0 = it does.
        self._held_until = 0.0
        self._is_holding = False
        self._unfinished: list[Unfinished] = []
        self._is_told = False
        self._leave_at = _end_of_life(step.config)

    def run(self, loop: Mainloop) -> None:
        """Work until told to stop, or until the process is old enough to leave."""
        while not loop.stopping and time.monotonic() < self._leave_at:
            if loop.draining:
                self.let_go()
                self.sync()
                loop.drained()
                loop.wait()
            elif self._pause:
                self.sync()
                loop.wait(timeout=self._pause)
                self._try_again()
            elif self._held_until:
                self._wait_held(loop)
            elif not self._work_next():
                self.sync()
                loop.wait(self._queue.fileno(), timeout=self._time_to_sleep())
        self.let_go()
        self.sync()

    def sync(self) -> None:
        """Bring to disk where the files went, if that is to survive a power cut: no file waits, or one takes long."""
        try:
            self._delivery.sync()
        except OSError as error:
            self.step.log.error("what was handed over may not be on disk", reason=one_line(error))

    def let_go(self) -> None:
        """Put back what was claimed and is not begun: nothing, where files are claimed one by one."""

    def _wait_held(self, loop: Mainloop) -> None:
        left = min(self._held_until, self._leave_at) - time.monotonic()
        if left > 0:
            self.sync()
            loop.wait(timeout=left)
        else:
            self._held_until = 0.0

    def _work_next(self) -> bool:
        claim = self._queue.claim()
        if claim is not None:
            self.work(claim)
        return claim is not None

    def _try_again(self) -> None:
        """After a pause: finish what is unfinished, which comes before anything else, or take the next file."""
        if not self._unfinished and not self._work_next():
            self._wait_no_longer()
        while self._unfinished:
            one = self._unfinished[-1]
            try:
                self._finish(one)
            except OSError as error:
                self._wait_longer(error, one.claim.name)
                return
            self._unfinished.pop()
            self._wait_no_longer()

    def _time_to_sleep(self) -> float | None:
        ends = [self.step.idle(), None if self._leave_at == float("inf") else self._leave_at - time.monotonic()]
        return min((max(0.0, end) for end in ends if end is not None), default=None)

    def work(self, claim: Claim) -> None:
        """Bring one claimed file to its next state."""
        start = time.time()
        self._is_told = False
        try:
            file = File(claim.place, read_tags(claim.place, self._sidecars))
            attempts = int(file.tags.get("latest.core.attempt", b"0"))
            outcome = self._refused(file, start) or self._run(file, claim)
            if os.getpid() != self._pid:
                os._exit(1)  # the step has forked, and its child came back too: the file is its parent's
            if fault := wrong_tag(file.tags):
                outcome = Failed(fault, permanent=True)
            decision = decide(outcome, attempts, self._policy, random.random())  # noqa: S311, spreads waits
            self._settle(claim, file, decision, age(start))
            if age(start) > _SLOW_S:
                self.sync()
            self._wait_no_longer()
            self._is_holding = isinstance(decision, Hold)
        except OSError as error:
            self._put_back(claim, error)

    def _refused(self, file: File, now: float) -> Outcome | None:
        """Let the file enter the step; what becomes of it instead when it may not be processed."""
        late = self._deadline and self._deadline.missed(file.tags, now)
        entered = self._enter(file, now)
        return late or (None if entered <= self._safety.max_steps else _in_a_circle(entered))

    def _enter(self, file: File, now: float) -> int:
        """Note in the tags that the file is in this step; in how many it has been with this one."""
        count = int(file.tags.get("latest.core.step_counter", b"0")) + 1
        file.tags["latest.core.step_counter"] = str(count).encode()
        file.tags[f"{count}.{self.target.plugin}.{self.target.step}.enter_step"] = utc(now).encode()
        return count

    def _run(self, file: File, claim: Claim) -> Outcome | None:
        self.step.begin(claim.place)
        try:
            answer = self._answers.checked(self.step.process(file))
            return name_taken(answer) or answer
        except (MemoryError, KeyboardInterrupt):
            raise  # whoever leaks has none for the next file either: this process ends, and recovery counts a crash
        except BaseException as error:  # the step is not ours: whatever it raises is an outcome, sys.exit() as well
            if is_no_room(error) or os.getpid() != self._pid:
                raise
            self.step.log.exception("the step failed", uid=file.uid, file=file.basename)
            return Failed(one_line(error), traceback=traceback.format_exc())

    def _settle(self, claim: Claim, file: File, decision: Decision, duration: float) -> None:
        told = {"uid": file.uid, "name": file.basename, "duration": round(duration, 6)}
        if _needs_file(decision) and not os.path.lexists(claim.place):
            self.step.log.error("the step removed a file that it has not done with", uid=file.uid, file=file.basename)
            decision = HandOver(Done(dropped_by=_REMOVED))
        match decision:
            case HandOver(outcome):
                self._hand_over(claim, file, outcome, told)
            case Delay():
                self._delay(claim, file, decision, told)
            case Keep(kind, reason, stack):
                self._tell({"event": "quarantined", **told, "kind": kind, "reason": reason})
                said = {"kind": kind, "reason": reason, **({"traceback": stack} if stack else {})}
                durable = self._safety.durability == "power"
                quarantine.keep(self._places, claim.path, self.target, file.tags, said, durable=durable)
            case Drop(reason):
                self._tell({"event": "dropped", **told, "rule": "failure_policy", "reason": reason})
                self._queue.settle(claim)
            case Divert(to, reason):
                self._tell({"event": "failed", **told, "reason": reason, "to": [to]})
                target = Target.of(to, self.target.plugin)
                leg = Leg(claim.place, target, passed_on(file.tags), priority=claim.priority)
                self._delivery.hand_over(claim.place, [leg])
            case Expired(rule, reason):
                self._tell({"event": "expired", **told, "rule": rule, "reason": reason})
                self._queue.settle(claim)
            case Hold(reason, wait):
                if not self._is_holding:
                    self._tell({"event": "held", **told, "reason": reason})
                self._queue.release(claim)
                self._held_until = time.monotonic() + wait
        if self.step.made_outputs:
            with suppress(OSError):
                remove_transaction(prepared_path(claim.place))

    def _hand_over(self, claim: Claim, file: File, outcome: Done, told: dict[str, object]) -> None:
        tags = passed_on(file.tags) | outcome.tags
        wanted = self._legs.of_itself(claim, outcome, tags)
        own = list(map(with_free_name, wanted))
        made = self._legs.of_outputs(claim, outcome, file, tags)
        if outcome.dropped_by:
            event: dict[str, object] = {"event": "dropped", **told, "rule": outcome.dropped_by}
        else:
            event = {"event": "done", **told, "to": [str(leg.to) for leg in own]}
        legs = distinct([*own, *(leg for one in made for leg in one.legs)])
        more = {
            "taken": [str(one.to) for one, other in zip(wanted, own, strict=True) if one.to != other.to],
            "replaced": replaced_by(legs),
            "note": outcome.note,
        }
        event |= {name: value for name, value in more.items() if value}
        self._tell(event, *made_events(made, file))
        self._tell_others(self._delivery.hand_over(claim.place, legs), file)

    def _tell_others(self, others: Sequence[OtherName], file: File) -> None:
        """Correct what was told of paths that another process took meanwhile."""
        for wanted, path in others:
            told = {"uid": file.uid, "name": file.basename, "to": [str(path)]}
            self._trace.write({"event": "placed", **told, "reason": f"{wanted} was taken meanwhile"})

    def _delay(self, claim: Claim, file: File, delay: Delay, told: dict[str, object]) -> None:
        due = time.time() + delay.wait
        event = {"event": "retried", **told, "attempt": delay.attempt, "due": round(due, 3), "reason": delay.reason}
        # The next try is a try of the same entry into the step.
        tags = {
            **before_entry(file.tags, self.target.plugin, self.target.step),
            "latest.core.attempt": str(delay.attempt).encode(),
        }
        self._tell(event)
        retag(claim.place, tags, self._sidecars, durable=self._safety.durability == "power")
        folder = self._places.delayed(self.target)
        folder.mkdir(parents=True, exist_ok=True)
        os.rename(claim.place, folder / delayed_name(claim.name, due))

    def _tell(self, *events: Mapping[str, object]) -> None:
        self._is_told = True
        self._trace.write(*events)

    def _put_back(self, claim: Claim, error: OSError) -> None:
        """Nothing could be written: the file waits again. Once it is committed it can only go forward."""
        self._wait_longer(error, claim.name)
        self._return(claim, one_line(error), was_told=self._is_told)

    def _return(self, claim: Claim, reason: str, *, was_told: bool) -> None:
        one = Unfinished(claim, was_told, reason)
        self._unfinished.append(one)
        if not committed_path(claim.place).exists():
            with suppress(OSError):
                self._take_back(one)
                self._unfinished.pop()

    def _finish(self, one: Unfinished) -> None:
        transaction = committed_path(one.claim.place)
        if transaction.exists():
            self._delivery.deliver(transaction)
        else:
            self._take_back(one)

    def _take_back(self, one: Unfinished) -> None:
        """Let the file wait as if it had not been claimed, once the trace says that what it told did not happen."""
        claim = one.claim
        remove_transaction(prepared_path(claim.place))
        if not os.path.exists(claim.place):
            return  # it had gone on, and what failed came after
        tags = read_tags(claim.place, self._sidecars)
        before = before_entry(tags, self.target.plugin, self.target.step)
        if one.was_told:
            told = File(claim.place, tags)
            reason = f"it could not be handed over, and waits again: {one.reason}"
            self._trace.write({"event": "recovered", "uid": told.uid, "name": told.basename, "reason": reason})
            one.was_told = False
        retag(claim.place, before, self._sidecars, durable=self._safety.durability == "power")
        self._queue.release(claim)

    def _wait_no_longer(self) -> None:
        """A file went on; what is unfinished is still tried again after a pause."""
        if self._pause and not self._unfinished:
            self._pause = 0.0
            self._say_held_up({})

    def _wait_longer(self, error: OSError, name: str) -> None:
        if not self._pause:
            self._held_up_since = time.time()
        self._pause = min(_LONGEST_PAUSE_S, 2 * self._pause or 1.0)
        self.step.log.error("a file must wait", reason=one_line(error), file=name, pause_s=self._pause)
        self._say_held_up(heldup.stalled(self._held_up_since, name, one_line(error)))

    def _say_held_up(self, fact: Mapping[str, object]) -> None:
        with suppress(OSError):  # the disk may be as full for this
            self.step.say(**{heldup.FACT: fact})


def policy_of(config: StepConfig) -> Policy:
    """What *config* declares for files that failed."""
    return Policy(
        config.retry_total,
        config.retry_min_wait,
        config.retry_max_wait,
        config.retry_backoff,
        config.failure_policy,
    )


def main(kind: type[Step]) -> None:
    """Run *kind* as the process that the supervisor says this is, or once on the file that the user names."""
    from mfdata.runner import run_on_file, run_process

    if len(sys.argv) > 1:
        sys.exit(run_on_file(kind, sys.argv[1:]))
    run_process(kind)


def _needs_file(decision: Decision) -> bool:
    """Whether the file itself goes on, or waits."""
    if isinstance(decision, HandOver):
        return bool(decision.outcome.to) and is_for_itself(decision.outcome)
    return not isinstance(decision, (Drop, Expired))


def _end_of_life(config: StepConfig) -> float:
    if not config.max_age:
        return float("inf")
    return time.monotonic() + config.max_age + random.random() * config.max_age_variance  # noqa: S311, spreads restarts


def _deadline_of(target: Target, config: StepConfig) -> Deadline | None:
    return Deadline(target, config.deadline, config.deadline_policy == "drop") if config.deadline else None


def _in_a_circle(count: int) -> Failed:
    return Failed(f"the file went through {count} steps: it runs in a circle", permanent=True, kind="loop")


def one_line(error: BaseException) -> str:
    """Kind and text of *error* on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
