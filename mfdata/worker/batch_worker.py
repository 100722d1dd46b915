"""Batch worker: claims several files, gives them to the step in one call, settles each.

A file on which a worker died goes alone, and so do all files of a batch that failed: whoever is to blame is then known.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfdata.batch import BatchStep, outcomes_of
from mfdata.config import Safety
from mfdata.delivery.fan_out import name_taken, passed_on
from mfdata.delivery.transaction import remove_transaction
from mfdata.file import File
from mfdata.outcome import Done, Failed, Outcome
from mfdata.queue.protocol import Claim, Queue
from mfdata.queue.worker_folder import BATCH, GATHERING
from mfdata.storage.names import committed_path, prepared_path
from mfdata.storage.tags import Tags, read_tags
from mfdata.storage.trace import Trace
from mfdata.worker.answer_check import wrong_tag
from mfdata.worker.worker import Worker
from mfext.clock import age
from mfext.errors import ConfigError

if TYPE_CHECKING:
    from mfdata.step import Step


@dataclass(frozen=True)
class Taken:
    """One file of a batch."""

    claim: Claim
    file: File


class BatchWorker(Worker):
    """Gives the files of one queue to one batch step."""

    def __init__(self, step: Step, queue: Queue, trace: Trace, safety: Safety) -> None:
        super().__init__(step, queue, trace, safety)
        assert isinstance(step, BatchStep)
        self._batch_step = step
        self._size, self._wait = step.config.batch_max_size, step.config.batch_max_wait
        if 0 < step.config.timeout <= self._wait:
            found = f"batch_max_wait = {self._wait:g} s is no shorter than timeout = {step.config.timeout:g} s"
            raise ConfigError(found, where=f"plugin {step.plugin} [step_{step.name}]")
        self._batch: list[Taken] = []
        self._is_complete = False
        self._due = 0.0

    def let_go(self) -> None:
        batch, self._batch = self._batch, []
        for taken in batch:
            self._queue.release(taken.claim)
        if batch:
            self._end(batch[0].claim)

    def _work_next(self) -> bool:
        try:
            self._collect()
            if not self._batch or not (self._is_complete or time.monotonic() >= self._due):
                return False
            self._begin(self._batch)
        except OSError as error:  # there is no room for a mark
            if not self._batch:
                raise
            self.disk.put_back(_claims(self._batch), error, was_recorded=False)
        else:
            self.work_batch(self._batch)
        self._end(self._batch[0].claim)
        self._batch = []
        return True

    def _try_again(self) -> None:
        before = list(self.disk.unfinished)
        super()._try_again()
        if before:
            self._end(before[0].claim)

    def _time_to_sleep(self) -> float | None:
        usual = super()._time_to_sleep()
        if not self._batch:
            return usual
        left = max(0.0, self._due - time.monotonic())
        return left if usual is None else min(usual, left)

    def _collect(self) -> None:
        """Claim until the batch is complete or nothing more waits."""
        if not self._batch:
            self._is_complete = False
        while not self._is_complete:
            claim = self._queue.claim()
            if claim is None:
                return
            file = File(claim.place, read_tags(claim.place, self._sidecars))
            goes_alone = "latest.core.crashes" in file.tags
            if goes_alone and self._batch:
                self._queue.release(claim)
            else:
                self._add(Taken(claim, file))
            self._is_complete = goes_alone or len(self._batch) >= self._size

    def _add(self, taken: Taken) -> None:
        self._batch.append(taken)
        if len(self._batch) == 1:
            self._due = time.monotonic() + self._wait
            taken.claim.path.with_name(GATHERING).touch()

    def _begin(self, batch: Sequence[Taken]) -> None:
        """From here on the files may be to blame when this process dies."""
        if len(batch) > 1:
            batch[0].claim.path.with_name(BATCH).touch()
        batch[0].claim.path.with_name(GATHERING).unlink()

    def _end(self, claim: Claim) -> None:
        """Remove the marks of the batch of *claim*, unless one of its files is still in hand."""
        if not self.disk.unfinished:
            for mark in (GATHERING, BATCH):
                claim.path.with_name(mark).unlink(missing_ok=True)

    def work_batch(self, batch: Sequence[Taken]) -> None:
        """Bring the claimed files of a batch to their next states."""
        if len(batch) == 1:
            self.work(batch[0].claim)
            return
        start = time.time()
        refused = [(taken, why) for taken in batch if (why := self._entry.refuse(taken.file, start))]
        self._settle_each(refused, start)
        kept_out = [taken for taken, _ in refused]
        ready = [taken for taken in batch if taken not in kept_out]
        if len(ready) > 1:
            self._work_together(ready, start)
        elif ready:
            self.work(ready[0].claim)

    def _work_together(self, batch: Sequence[Taken], start: float) -> None:
        try:
            self.step.begin(batch[0].claim.place)
            answer = self.call_step(
                lambda: self._process(batch), "the batch failed; its files are tried one by one", files=len(batch)
            )
        except OSError as error:  # there is no room
            self.disk.put_back(_claims(batch), error, was_recorded=False)
            return
        if isinstance(answer, Failed):
            remove_transaction(prepared_path(batch[0].claim.place))
            for taken in batch:
                self.work(taken.claim)
        elif isinstance(answer, Done):
            self._hand_over_together(batch, answer, age(start))
        else:
            # What the files make lies with the first one, which therefore is the last to go.
            pairs = list(zip(batch, answer, strict=True))
            self._settle_each([*pairs[1:], pairs[0]], start)

    def _process(self, batch: Sequence[Taken]) -> Failed | Done | list[Outcome]:
        """What the step says: that they failed, that all went into its outputs, or an outcome for each."""
        answer = self._batch_step.process_batch([taken.file for taken in batch])
        if faults := [fault for taken in batch if (fault := wrong_tag(taken.file.tags))]:
            return Failed(faults[0])
        if isinstance(answer, Done) and answer.outputs:
            answer = self._answers.checked(answer)
            answer = name_taken(answer) or answer
        if isinstance(answer, Failed) or (isinstance(answer, Done) and answer.outputs):
            return answer
        answers = [self._answers.checked(one) or Done() for one in outcomes_of(answer, len(batch))]
        return [name_taken(one) or one for one in answers]

    def _settle_each(self, pairs: Sequence[tuple[Taken, Outcome]], start: float) -> None:
        duration = age(start) / max(1, len(pairs))
        for number, (taken, outcome) in enumerate(pairs):
            try:
                self.settlement.settle(taken.claim, taken.file, outcome, duration)
            except OSError as error:
                self.disk.put_back([taken.claim], error, was_recorded=self.settlement.is_recorded)
                later = _claims([one for one, _ in pairs[number + 1 :]])
                self.disk.release(later, "another one could not", was_recorded=False)
                return
        self.disk.end_pause()

    def _hand_over_together(self, batch: Sequence[Taken], outcome: Done, duration: float) -> None:
        """All files end and the outputs are handed over, in one instant."""
        claims, files = _claims(batch), [taken.file for taken in batch]
        try:
            self.settlement.hand_over_together(claims, files, _shared_tags(batch), outcome, duration)
            self.disk.end_pause()
        except OSError as error:
            # Once it is committed all of it can only go forward, and the first file stands for all.
            back = claims[:1] if committed_path(claims[0].place).exists() else claims
            self.disk.put_back(back, error, was_recorded=self.settlement.is_recorded)


def _claims(batch: Sequence[Taken]) -> list[Claim]:
    return [taken.claim for taken in batch]


def _shared_tags(batch: Sequence[Taken]) -> Tags:
    """The tags of what is made of all: those that all files have, and where the first one came from (pure)."""
    first, *others = (passed_on(taken.file.tags) for taken in batch)
    counts = (int(taken.file.tags.get("latest.core.step_counter", b"0")) for taken in batch)
    shared = {
        name: value
        for name, value in first.items()
        if name.startswith("first.core.")
        or name.endswith(".enter_step")
        or all(tags.get(name) == value for tags in others)
    }
    # The longest way counts, so that nothing can run in a circle.
    return shared | {"latest.core.step_counter": str(max(counts)).encode()}
