"""Disk full: files that can be brought neither to their next place nor back, until there is room again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mfdata.delivery.transaction import Transactions, remove_transaction
from mfdata.file import File
from mfdata.operations import stalled
from mfdata.queue.protocol import Claim, Queue
from mfdata.step import Step
from mfdata.storage.names import committed_path, prepared_path
from mfdata.storage.places import Target
from mfdata.storage.retag import retag
from mfdata.storage.tags import before_entry, read_tags
from mfdata.storage.trace import Trace

_LONGEST_PAUSE_S = 30.0


@dataclass
class Unfinished:
    """A file that is neither at its next place nor back in its queue."""

    claim: Claim
    #: Whether the trace records an end that it has not come to.
    was_recorded: bool
    #: Why.
    reason: str


class DiskFull:
    """What waits for room, and how long the worker pauses before it tries again: longer each time."""

    def __init__(self, step: Step, queue: Queue, trace: Trace, transactions: Transactions, *, durable: bool) -> None:
        """Args: the step, its queue, its trace, who hands over, and whether tags are brought to disk."""
        #: Seconds until the next try; 0 = there is room.
        self.pause = 0.0
        #: The last one is tried first.
        self.unfinished: list[Unfinished] = []
        self._step = step
        self._target = Target(step.plugin, step.name)
        self._queue = queue
        self._trace = trace
        self._transactions = transactions
        self._durable = durable
        self._sidecars = os.fspath(step.places.sidecars)
        self._since = 0.0

    def put_back(self, claims: Sequence[Claim], error: OSError, *, was_recorded: bool) -> None:
        """Let files wait again, since *error* hinders them. What is committed can only go forward, later."""
        self._wait_longer(error, claims[0].name)
        self.release(claims, one_line(error), was_recorded=was_recorded)

    def release(self, claims: Sequence[Claim], reason: str, *, was_recorded: bool) -> None:
        """Let files wait again; those for which even that cannot be done are tried again later."""
        for claim in claims:
            one = Unfinished(claim, was_recorded, reason)
            self.unfinished.append(one)
            if not committed_path(claim.place).exists():
                with suppress(OSError):
                    self._take_back(one)
                    self.unfinished.pop()

    def finish(self) -> None:
        """Bring what is unfinished to an end, as far as there is room."""
        while self.unfinished:
            one = self.unfinished[-1]
            try:
                self._finish(one)
            except OSError as error:
                self._wait_longer(error, one.claim.name)
                return
            self.unfinished.pop()
            self.end_pause()

    def end_pause(self) -> None:
        """A file went on; what is unfinished is still tried again after a pause."""
        if self.pause and not self.unfinished:
            self.pause = 0.0
            self._say({})

    def _finish(self, one: Unfinished) -> None:
        transaction = committed_path(one.claim.place)
        if transaction.exists():
            self._transactions.deliver(transaction)
        else:
            self._take_back(one)

    def _take_back(self, one: Unfinished) -> None:
        """Let the file wait as if it had not been claimed, once the trace says that the recorded end did not come."""
        claim = one.claim
        remove_transaction(prepared_path(claim.place))
        if not os.path.exists(claim.place):
            return  # it had gone on, and what failed came after
        tags = read_tags(claim.place, self._sidecars)
        before = before_entry(tags, self._target.plugin, self._target.step)
        if one.was_recorded:
            file = File(claim.place, tags)
            reason = f"it could not be handed over, and waits again: {one.reason}"
            self._trace.write({"event": "recovered", "uid": file.uid, "name": file.basename, "reason": reason})
            one.was_recorded = False
        retag(claim.place, before, self._sidecars, durable=self._durable)
        self._queue.release(claim)

    def _wait_longer(self, error: OSError, name: str) -> None:
        if not self.pause:
            self._since = time.time()
        self.pause = min(_LONGEST_PAUSE_S, 2 * self.pause or 1.0)
        self._step.log.error("a file must wait", reason=one_line(error), file=name, pause_s=self.pause)
        self._say(stalled.stalled(self._since, name, one_line(error)))

    def _say(self, fact: Mapping[str, object]) -> None:
        with suppress(OSError):  # the disk may be as full for this
            self._step.say(**{stalled.FACT: fact})


def one_line(error: BaseException) -> str:
    """Kind and text of *error* on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
