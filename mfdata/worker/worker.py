"""Worker: the loop of every step process: claim, run, decide, settle."""

from __future__ import annotations

import os
import random
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from mfdata.config import Safety, StepConfig
from mfdata.delivery.fan_out import name_taken
from mfdata.file import File
from mfdata.outcome import Failed, Outcome
from mfdata.queue.protocol import Claim, Queue
from mfdata.step import Step
from mfdata.storage.tags import read_tags
from mfdata.storage.trace import Trace
from mfdata.worker.answer_check import Answers, wrong_tag
from mfdata.worker.disk_full import DiskFull, one_line
from mfdata.worker.entry import Entry
from mfdata.worker.settlement import Settlement
from mfext.clock import age
from mfext.disk import is_no_room
from mfext.mainloop import Mainloop

#: The next file may take as long as this one: after a file that took longer, nothing is left to be brought to disk.
_SLOW_S = 0.01

T = TypeVar("T")


class Worker:
    """Gives the files of one queue to one step."""

    def __init__(self, step: Step, queue: Queue, trace: Trace, safety: Safety) -> None:
        self.step = step
        self.settlement = Settlement(step, queue, trace, safety)
        self.disk = DiskFull(step, queue, trace, self.settlement.transactions, durable=safety.durability == "power")
        self._entry = Entry(self.settlement.target, step.config, safety)
        self._queue = queue
        self._sidecars = os.fspath(step.places.sidecars)
        self._answers = Answers(step.places, step.plugin, step.required)
        self._pid = os.getpid()
        self._leave_at = _end_of_life(step.config)

    def run(self, loop: Mainloop) -> None:
        """Work until asked to stop, or until the process is old enough to leave."""
        while not loop.stopping and time.monotonic() < self._leave_at:
            if loop.draining:
                self.let_go()
                self.sync()
                loop.drained()
                loop.wait()
            elif self.disk.pause:
                self.sync()
                loop.wait(timeout=self.disk.pause)
                self._try_again()
            elif self.settlement.held_until:
                self._wait_held(loop)
            elif not self._work_next():
                self.sync()
                loop.wait(self._queue.fileno(), timeout=self._time_to_sleep())
        self.let_go()
        self.sync()

    def work(self, claim: Claim) -> None:
        """Bring one claimed file to its next state."""
        start = time.time()
        self.settlement.is_recorded = False
        try:
            file = File(claim.place, read_tags(claim.place, self._sidecars))
            outcome = self._entry.refuse(file, start) or self._run(file, claim)
            if os.getpid() != self._pid:
                os._exit(1)  # the step has forked, and its child came back too: the file is its parent's
            if fault := wrong_tag(file.tags):
                outcome = Failed(fault, permanent=True)
            self.settlement.settle(claim, file, outcome, age(start))
            if age(start) > _SLOW_S:
                self.sync()
            self.disk.end_pause()
        except OSError as error:
            self.disk.put_back([claim], error, was_recorded=self.settlement.is_recorded)

    def sync(self) -> None:
        """Bring to disk where the files went, if that is to survive a power cut: no file waits, or one takes long."""
        try:
            self.settlement.transactions.sync()
        except OSError as error:
            self.step.log.error("what was handed over may not be on disk", reason=one_line(error))

    def let_go(self) -> None:
        """Put back what was claimed and is not begun: nothing, where files are claimed one by one."""

    def call_step(self, call: Callable[[], T], complaint: str, **fields: object) -> T | Failed:
        """What *call* of the step's code gives; a failure that was logged with *complaint* when it raises.

        Raises:
            OSError: there is no room on the disk, which is not the step's fault.
        """
        try:
            return call()
        except (MemoryError, KeyboardInterrupt):
            raise  # whoever leaks has none for the next file either: this process ends, and recovery counts a crash
        except BaseException as error:  # the step is not ours: whatever it raises is an outcome, sys.exit() as well
            if is_no_room(error) or os.getpid() != self._pid:
                raise
            self.step.log.exception(complaint, **fields)
            return Failed(one_line(error), traceback=traceback.format_exc())

    def _run(self, file: File, claim: Claim) -> Outcome | None:
        self.step.begin(claim.place)

        def process() -> Outcome | None:
            answer = self._answers.checked(self.step.process(file))
            return name_taken(answer) or answer

        return self.call_step(process, "the step failed", uid=file.uid, file=file.basename)

    def _wait_held(self, loop: Mainloop) -> None:
        left = min(self.settlement.held_until, self._leave_at) - time.monotonic()
        if left > 0:
            self.sync()
            loop.wait(timeout=left)
        else:
            self.settlement.held_until = 0.0

    def _work_next(self) -> bool:
        claim = self._queue.claim()
        if claim is not None:
            self.work(claim)
        return claim is not None

    def _try_again(self) -> None:
        """After a pause: finish what is unfinished, which comes before anything else, or take the next file."""
        if not self.disk.unfinished and not self._work_next():
            self.disk.end_pause()
        self.disk.finish()

    def _time_to_sleep(self) -> float | None:
        ends = [self.step.idle(), None if self._leave_at == float("inf") else self._leave_at - time.monotonic()]
        return min((max(0.0, end) for end in ends if end is not None), default=None)


def _end_of_life(config: StepConfig) -> float:
    if not config.max_age:
        return float("inf")
    return time.monotonic() + config.max_age + random.random() * config.max_age_variance  # noqa: S311, spreads restarts
