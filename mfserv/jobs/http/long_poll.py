"""Waiting: who waits in the gateway for the end of a job, woken when somebody says that one is finished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mfext.errors import ServiceUnavailable
from mfserv.jobs.job import Job

#: Seconds after which to look without having been told.
_LOOK_S = 1.0

#: Gives the jobs of these names, as far as there are any.
Look = Callable[[Sequence[str]], Awaitable[Sequence[Job]]]


class Waiting:
    """Everybody who waits in this process. However many they are, one question answers all."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._futures: dict[str, list[asyncio.Future[Job | None]]] = {}
        self._news = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def end_of(self, job_id: str, seconds: float) -> Job | None:
        """The job once it has ended; None when that takes longer than *seconds*."""
        if seconds <= 0 or self._closed:
            return None
        future: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(job_id, []).append(future)
        # It may have ended before we listened.
        self._news.set()
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        try:
            with suppress(TimeoutError):
                return await asyncio.wait_for(future, seconds)
            return None
        finally:
            self._leave(job_id, future)

    def news(self) -> None:
        """Something may have ended."""
        self._news.set()

    def close(self) -> None:
        """Nobody waits any longer."""
        self._closed = True
        for future in [one for group in self._futures.values() for one in group]:
            if not future.done():
                future.set_result(None)

    async def _watch(self) -> None:
        """Look for news as long as anybody waits."""
        while self._futures:
            self._news.clear()
            with suppress(ServiceUnavailable):
                for job in await self._look(list(self._futures)):
                    if job.status.is_final:
                        self._tell(job)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_S)
        self._task = None

    def _tell(self, job: Job) -> None:
        for future in self._futures.get(job.id, ()):
            if not future.done():
                future.set_result(job)

    def _leave(self, job_id: str, future: asyncio.Future[Job | None]) -> None:
        group = self._futures[job_id]
        group.remove(future)
        if not group:
            del self._futures[job_id]
