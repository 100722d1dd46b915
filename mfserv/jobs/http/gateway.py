"""Gateway: the process that takes jobs, tells how far they are, and gives out their results.

It listens on a unix socket for the router alone, which sets ``X-Metwork-Client`` and ``X-Metwork-Class`` and lets no
client set them. A request for a route becomes a job: its body goes to the spool as it comes, its record to the store;
both are on disk before the answer. ``submission.py`` does that; ``job_pages.py`` has the pages of jobs and processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, TypeVar

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from mfext import log as logs
from mfext.daemon import run_daemon
from mfext.environment import Home
from mfext.errors import MetworkError, ServiceUnavailable
from mfext.log import get_logger
from mfext.mainloop import Mainloop
from mfext.net.unix import listen_at
from mfserv.jobs.config import JobsConfig, jobs_config, jobs_folder
from mfserv.jobs.http.long_poll import Waiting
from mfserv.jobs.job import Job
from mfserv.jobs.route import Routes
from mfserv.jobs.spool import CHUNK, Spool
from mfserv.jobs.stores.engines import open_store
from mfserv.jobs.stores.store import DONE, Bell, JobStore, Offer

log = get_logger(__name__)

PROCESS = "gateway"
#: Name of the socket in the run folder of the home.
SOCKET = "gateway.sock"
#: Largest body of requests that are no jobs.
_SMALL = 1_000_000
_MAX_HEADERS = 64 * 1024
_DISK_THREADS = 4
_BELL_S = 1.0

T = TypeVar("T")


class Submitted(NamedTuple):
    """A job that was accepted, or was there already."""

    job: Job
    #: How many waiting jobs come before it.
    position: int


class Gateway:
    """What the handlers of requests share."""

    def __init__(self, home: Home, settings: JobsConfig) -> None:
        self.settings = settings
        self.routes = Routes(home)
        self.spool = Spool(jobs_folder(home, settings))
        self.waiting = Waiting(self._all)
        #: Requests in hand.
        self.active: set[RequestHandler] = set()
        self.changed = asyncio.Event()
        self._submitted: list[tuple[Offer, asyncio.Future[Submitted]]] = []
        self._submitting: asyncio.Task[None] | None = None
        # A store is for one thread at a time. Questions have one of their own, so that none waits for the disk.
        self._stores = (open_store(home, settings), open_store(home, settings))
        self._submit_thread, self._store_thread = ThreadPoolExecutor(1, "submit"), ThreadPoolExecutor(1, "store")
        self._disk_threads = ThreadPoolExecutor(_DISK_THREADS, "disk")

    async def ask(self, question: Callable[[JobStore], T]) -> T:
        """What the store answers to *question*."""
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, question, self._stores[1])

    async def submit(self, offer: Offer) -> Submitted:
        """What became of *offer*. Those that come at the same time are brought to disk together.

        Raises:
            QueueFull: there are too many.
            KeyReused: the key was used for something else.
            ServiceUnavailable: the store is away.
        """
        future: asyncio.Future[Submitted] = asyncio.get_running_loop().create_future()
        self._submitted.append((offer, future))
        if self._submitting is None:
            self._submitting = asyncio.create_task(self._submit())
        return await future

    async def on_disk(self, work: Callable[[], T]) -> T:
        """What *work* gives, which may have to wait for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._disk_threads, work)

    def begun(self, request: RequestHandler) -> None:
        """A request is in hand."""
        self.active.add(request)

    def ended(self, request: RequestHandler) -> None:
        """It is done, or its client is gone."""
        self.active.discard(request)
        self.changed.set()

    async def listen_to_bell(self) -> None:
        """Wake those who wait whenever something ends, for ever; a bell that cannot be had is tried for again."""
        while True:
            try:
                bell = await self.ask(lambda store: store.bell(frozenset((DONE,))))
                try:
                    await self._hear(bell)
                finally:
                    bell.close()
            except (OSError, MetworkError) as error:
                log.warning("what ends is not heard, looking every second", reason=str(error))
            await asyncio.sleep(_BELL_S)

    def close(self) -> None:
        """Let go of store and threads."""
        for thread, store in zip((self._submit_thread, self._store_thread), self._stores, strict=True):
            thread.submit(store.close)
            thread.shutdown()
        self._disk_threads.shutdown()

    async def _hear(self, bell: Bell) -> None:
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        loop.add_reader(bell.fd, rung.set)
        try:
            while True:
                await rung.wait()
                rung.clear()
                if DONE in bell.heard():
                    self.waiting.news()
        finally:
            loop.remove_reader(bell.fd)

    async def _submit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._submitted:
            batch, self._submitted = self._submitted, []
            offers = [offer for offer, _ in batch]
            outcomes: Sequence[Submitted | Exception]
            try:
                outcomes = await loop.run_in_executor(self._submit_thread, submit_all, self._stores[0], offers)
            except Exception as error:  # theirs, each
                outcomes = [error] * len(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        self._submitting = None

    async def _all(self, names: Sequence[str]) -> Sequence[Job]:
        return await self.ask(lambda store: [job for job in map(store.get, names) if job])


def submit_all(store: JobStore, offers: Sequence[Offer]) -> list[Submitted | Exception]:
    """What became of each of *offers*; asked for here, its place in the queue costs no second wait for a thread."""
    outcomes = store.submit_all(offers)
    positions = iter(_positions(store, [one for one in outcomes if isinstance(one, Job)]))
    return [Submitted(one, next(positions)) if isinstance(one, Job) else one for one in outcomes]


def _positions(store: JobStore, jobs: Sequence[Job]) -> Sequence[int]:
    """Before each of them how many come. They are accepted whether or not that can be told."""
    try:
        return store.positions(jobs)
    except ServiceUnavailable:
        return [0] * len(jobs)


def application(gateway: Gateway) -> Application:
    """Who answers what."""
    from mfserv.jobs.http import job_pages, process_pages
    from mfserv.jobs.http.submission import Execution, Submission

    shared = {"gateway": gateway}
    job = r"/jobs/([A-Za-z0-9_-]+)"
    return Application(
        [
            (r"/", process_pages.Landing, shared),
            (r"/__api", process_pages.Api, shared),
            (r"/conformance", process_pages.Conformance, shared),
            (r"/processes/?", process_pages.Processes, shared),
            (r"/processes/([^/]+)", process_pages.Process, shared),
            (r"/processes/([^/]+)/execution", Execution, shared),
            (r"/jobs/?", job_pages.Jobs, shared),
            (job, job_pages.OneJob, shared),
            (rf"{job}/results", job_pages.Results, shared),
            (rf"{job}/results/result", job_pages.RawResult, shared),
            (rf"{job}/progress/([A-Za-z0-9_-]+)", job_pages.Progress, shared),
            (r"/(?:jobs|processes)/.*", process_pages.Nothing, shared),
            (r".*", Submission, shared),
        ],
        log_function=lambda _handler: None,
    )


def serve(home: Home, settings: JobsConfig) -> None:
    """Be the gateway of *home* until told to stop."""
    with Mainloop(home) as loop:
        loop.run(_serve(home, settings, loop))


async def _serve(home: Home, settings: JobsConfig, loop: Mainloop) -> None:
    gateway = Gateway(home, settings)
    server = HTTPServer(
        application(gateway), max_body_size=_SMALL, max_header_size=_MAX_HEADERS, chunk_size=CHUNK, xheaders=False
    )
    listening = asyncio.create_task(gateway.listen_to_bell())
    server.add_socket(listen_at(home.run / SOCKET))
    loop.ready()
    signalled = loop.signal_event()
    await signalled.wait()
    server.stop()
    # Who waits for a result is told where to find it later.
    gateway.waiting.close()
    await _finish(gateway, settings.graceful_timeout)
    if loop.draining:
        loop.drained()
    while not loop.stopping:
        signalled.clear()
        if not loop.stopping:
            await signalled.wait()
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    await server.close_all_connections()
    gateway.close()


async def _finish(gateway: Gateway, seconds: float) -> None:
    """Wait until no request is in hand, for *seconds* at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while gateway.active:
                gateway.changed.clear()
                await gateway.changed.wait()


def main() -> None:
    """Run as the supervised process ``gateway``."""
    run_daemon(
        lambda daemon: serve(daemon.home, jobs_config(daemon.config)),
        process=PROCESS,
        adopt_logging=lambda _level: logs.adopt_standard_logging(),
    )


if __name__ == "__main__":
    main()
