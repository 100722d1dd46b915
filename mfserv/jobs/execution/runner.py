"""Runner: the process that does jobs: claims them by priority, calls their services through the router, keeps results.

The main thread owns the store; each attempt (``attempt.py``) has a thread. A job is held by a lease that is renewed
while this process lives: when it dies, another runner gives the job back and does it anew.
"""

from __future__ import annotations

import os
import queue
import secrets
import time
from contextlib import nullcontext, suppress
from pathlib import Path

from mfext.daemon import run_daemon
from mfext.environment import Home
from mfext.errors import ServiceUnavailable
from mfext.log import get_logger
from mfext.mainloop import Mainloop
from mfserv.jobs.config import JobsConfig, jobs_config, jobs_folder
from mfserv.jobs.execution.attempt import Call
from mfserv.jobs.execution.liveness import Liveness
from mfserv.jobs.execution.retry_policy import Answered, BrokenOff, Fail, Keep, Stopped, TryAgain, verdict
from mfserv.jobs.job import Job, keeps
from mfserv.jobs.spool import Spool
from mfserv.jobs.stores.engines import open_store
from mfserv.jobs.stores.store import STOP, Bell, JobStore

log = get_logger(__name__)

PROCESS = "job_runner"
#: The router's socket for jobs, in the run folder of the home.
ROUTER = "router-internal.sock"
#: Seconds between two looks without having been told anything.
_LOOK_S = 1.0
#: So that what is due is so by every clock.
_LATER_S = 0.01
#: Seconds between two looks after what somebody has to do for all.
_TEND_S = 2.0
#: Seconds between two searches for files that no job has, and the age of such a file.
_SWEEP_S = 3_600.0


class Runner:
    """One runner."""

    def __init__(self, settings: JobsConfig, store: JobStore, spool: Spool, router: Path, presence: Liveness) -> None:
        self.settings = settings
        self.store = store
        self.spool = spool
        self.router = router
        self.presence = presence
        self.name = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(3)}"
        #: Attempts under way, by token, each with when it must be over.
        self.calls: dict[str, tuple[Call, float]] = {}
        self._ended: queue.SimpleQueue[Call] = queue.SimpleQueue()
        #: Calls that ended while the store was away.
        self._unsettled: list[Call] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._bell: Bell | None = None
        self._beat_at = self._tend_at = 0.0
        self._sweep_at = time.monotonic() + _SWEEP_S
        self._is_away = False
        #: When jobs that were given back here are due.
        self._due: list[float] = []

    def run(self, loop: Mainloop) -> None:
        """Do jobs until told to stop."""
        self.presence.enter(self.name)
        loop.ready()
        is_drained = False
        while not loop.stopping:
            is_reached = self.turn(may_claim=not loop.draining)
            if loop.draining and is_reached and not self.calls and not is_drained:
                loop.drained()
                is_drained = True
            self._wait(loop)
        self._end(loop)

    def turn(self, *, may_claim: bool) -> bool:
        """Do all that is to do now; whether the store can be reached."""
        try:
            self._take_ended()
            self._beat()
            self._tend()
            self._work(may_claim=may_claim)
        except ServiceUnavailable as error:
            if not self._is_away:
                log.warning("the store of the jobs is away", reason=error.message)
            self._is_away = True
            self._drop_bell()
            return False
        if self._is_away:
            log.info("the store of the jobs is back")
            self._is_away = False
        return True

    def close(self) -> None:
        """Let go of everything."""
        self._drop_bell()
        self.store.close()
        self.presence.forget(frozenset((self.name,)))
        self.presence.leave()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _work(self, *, may_claim: bool) -> None:
        """Write down what became of jobs, and claim others; all of it gets to disk at once."""
        free = self.settings.concurrency - len(self.calls) + len(self._unsettled) if may_claim else 0
        if not self._unsettled and not free:
            return
        done: list[Path] = []
        claimed: list[tuple[Job, bytes]] = []
        with self.store.together() if self._unsettled else nullcontext():
            for call in self._unsettled:
                done += self._settle(call)
            while len(claimed) < free and (job := self.store.claim(self.name, self.settings.lease)):
                claimed.append((job, self.store.content(job.id)))
        for path in done:
            path.unlink(missing_ok=True)
        for call in self._unsettled:
            self.calls.pop(call.job.token, None)
        self._unsettled.clear()
        for job, body in claimed:
            self._begin(job, body)

    def _begin(self, job: Job, body: bytes) -> None:
        call = Call(job, body, self.router, self.spool, job.max_result or self.settings.max_result, self._on_end)
        self.calls[job.token] = (call, time.monotonic() + job.timeout)
        call.start()

    def _on_end(self, call: Call) -> None:
        """In the thread of the call."""
        self._ended.put(call)
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"x")

    def _take_ended(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._unsettled.append(self._ended.get_nowait())

    def _settle(self, call: Call) -> list[Path]:
        """Write down what became of the job of *call*; the files that are of no use then."""
        job, outcome = call.job, call.outcome
        result, content = (outcome.result, outcome.content) if isinstance(outcome, Answered) else (None, b"")
        decided = verdict(job, outcome, self.store.now(), self.settings)
        match decided:
            case Keep(kept):
                is_ours = self.store.answer(job, kept, content)
            case Fail(reason):
                is_ours = self.store.fail(job, reason)
            case TryAgain(reason, wait, counts):
                is_ours = self.store.give_back(job, reason, wait, counts=counts)
                self._due.append(time.monotonic() + wait)
                if is_ours:
                    log.warning("a job is tried again", job=job.id, attempt=job.attempts, reason=reason)
        useless: list[Path] = []
        if result and result.file and not (is_ours and isinstance(decided, Keep)):
            useless.append(self.spool.result(result.file))
        # A job that failed may be tried anew.
        if job.in_spool and is_ours and isinstance(decided, Keep) and decided.result.is_success:
            useless.append(self.spool.body(job.id))
        return useless

    def _beat(self) -> None:
        """Give a sign of life for every job in hand; stop what is not ours any more, or takes too long."""
        now = time.monotonic()
        for call, deadline in self.calls.values():
            if now > deadline:
                call.stop(BrokenOff(f"it took longer than {call.job.timeout:g} seconds"))
        rung = self._rung()
        if now < self._beat_at and STOP not in rung:
            return
        for call, _ in list(self.calls.values()):
            if not self.store.beat(call.job, self.settings.lease):
                call.stop()
        self._beat_at = time.monotonic() + self.settings.lease / 3

    def _tend(self) -> None:
        """What somebody has to do for all: give back what dead runners had, forget what is too old."""
        now = time.monotonic()
        if now < self._tend_at:
            return
        self.store.tend()
        dead = self.presence.dead()
        for job in self.store.recover(self.settings.attempts, dead):
            log.warning("a runner died with a job", job=job.id, process=job.process, status=str(job.status))
        self.presence.forget(dead)
        for job_id in self.store.expired():
            job_or_none = self.store.get(job_id)
            # Files first: a job without its files can be told, files without a job would stay.
            self.spool.forget(job_id, job_or_none.result.file if job_or_none and job_or_none.result else "")
            self.store.remove(job_id)
        if now > self._sweep_at:
            self._sweep()
            self._sweep_at = now + _SWEEP_S
        self._tend_at = time.monotonic() + _TEND_S

    def _sweep(self) -> None:
        """Remove files that a crash left before a record named them."""
        for job_id, path in self.spool.old(_SWEEP_S + self.settings.body_timeout):
            job = self.store.get(job_id)
            if not (job and keeps(job, path.name)):
                path.unlink(missing_ok=True)

    def _rung(self) -> set[str]:
        """What the bell told."""
        try:
            if self._bell is None:
                self._bell = self.store.bell()
            return self._bell.heard()
        except OSError:
            self._drop_bell()
            return set()

    def _wait(self, loop: Mainloop) -> None:
        fds = [self._wake_read, *([self._bell.fd] if self._bell else [])]
        now = time.monotonic()
        self._due = [due for due in self._due if due > now]
        timeout = min([_LOOK_S, *(due - now + _LATER_S for due in self._due)])
        if self._wake_read in loop.wait(*fds, timeout=timeout):
            with suppress(BlockingIOError):
                os.read(self._wake_read, 4096)

    def _drop_bell(self) -> None:
        if self._bell:
            with suppress(OSError):
                self._bell.close()
            self._bell = None

    def _end(self, loop: Mainloop) -> None:
        """Finish what is in hand, or give it back when that takes too long."""
        deadline = time.monotonic() + self.settings.graceful_timeout
        while self.calls and time.monotonic() < deadline:
            self._wait(loop)
            self.turn(may_claim=False)
        for call, _ in self.calls.values():
            call.stop(Stopped())
        deadline = time.monotonic() + 3
        while self.calls and time.monotonic() < deadline:
            self._wait(loop)
            self.turn(may_claim=False)


def serve(home: Home, settings: JobsConfig) -> None:
    """Be a runner of *home* until told to stop."""
    spool = Spool(jobs_folder(home, settings))
    presence = Liveness(home.run / "runners")
    runner = Runner(settings, open_store(home, settings), spool, home.run / ROUTER, presence)
    with Mainloop(home) as loop:
        try:
            runner.run(loop)
        finally:
            runner.close()


def main() -> None:
    """Run as the supervised process ``job_runner``."""
    run_daemon(lambda daemon: serve(daemon.home, jobs_config(daemon.config)), process=PROCESS)


if __name__ == "__main__":
    main()
