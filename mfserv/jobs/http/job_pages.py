"""The pages of jobs: list, state, results, dismissal, and the progress that services report."""

from __future__ import annotations

import json
import time
from typing import Any

from mfserv.jobs.http.handler import Handler
from mfserv.jobs.http.job_filter import JobFilter, job_filter
from mfserv.jobs.http.ogc_processes import JSON, OUTPUT, job_list, reference
from mfserv.jobs.http.problem import Problem, no_such_job
from mfserv.jobs.job import LATEST, Job, Result, Status

_LIMIT, _MOST = 100, 1_000
#: Largest result that is written out in a document of results.
_INLINE = 1_000_000
_LONGEST_MESSAGE = 1_000
_FILTERS = ("status", "processID", "type", "datetime", "minDuration", "maxDuration")


class Jobs(Handler):
    """``/jobs``: those of the client who asks, the newest first."""

    async def get(self) -> None:
        limit = self.integer("limit", _LIMIT, 1, _MOST)
        before = self.integer("before", 0, 0, LATEST)
        wanted = job_filter(self._words)
        found: list[Job] = []
        size = limit + 1 if wanted.is_of_store else _MOST
        while len(found) <= limit and (some := await self._some(wanted, before, size)):
            found += [job for job in some if wanted.holds(job, time.time())]
            before = some[-1].seq
        shown = found[:limit]
        asked = {name: ",".join(self._words(name)) for name in _FILTERS if self._words(name)}
        more = {"limit": str(limit), "before": str(shown[-1].seq), **asked} if len(found) > limit else None
        self.give(job_list(shown, more))

    head = get

    async def _some(self, wanted: JobFilter, before: int, size: int) -> list[Job]:
        client = self.client
        return await self.gateway.ask(
            lambda store: store.listed(
                client, statuses=wanted.statuses, processes=wanted.processes, before=before, limit=size
            )
        )

    def _words(self, name: str) -> list[str]:
        return [word for text in self.get_query_arguments(name) for word in text.split(",")]


class OneJob(Handler):
    """``/jobs/ID``."""

    methods = ("GET", "HEAD", "DELETE")

    async def get(self, job_id: str) -> None:
        self.give(await self.describe(await self.job(job_id)))

    head = get

    async def delete(self, job_id: str) -> None:
        """Stop it, or forget its result."""
        job = await self.job(job_id)
        dismissed = await self.gateway.ask(lambda store: store.dismiss(job_id))
        if dismissed is None:
            raise no_such_job()
        result = job.result.file if job.result else ""
        await self.gateway.on_disk(lambda: self.gateway.spool.forget(job_id, result))
        self.give(await self.describe(dismissed))


class Results(Handler):
    """``/jobs/ID/results``: what the service answered, as the client asked for it."""

    async def get(self, job_id: str) -> None:
        job = await self.job(job_id)
        await (give_process_result(self, job) if job.is_process else self.give_result(job))

    head = get


class RawResult(Handler):
    """``/jobs/ID/results/result``: the one output, as it is."""

    async def get(self, job_id: str) -> None:
        await self.give_result(await self.job(job_id))

    head = get


class Progress(Handler):
    """``/jobs/ID/progress/TOKEN``: for the service that does the job, which has the address from its request."""

    methods = ("PUT", "POST")

    async def put(self, job_id: str, token: str) -> None:
        progress, message = _progress(self.request.body)
        if not await self.gateway.ask(lambda store: store.progress(job_id, token, progress, message)):
            raise Problem(409, "That attempt is over", "The job was dismissed, or given to somebody else.")
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()

    post = put


async def give_process_result(handler: Handler, job: Job) -> None:
    """Answer with the result of an execution: as it is, or in a document of results when that was asked for."""
    result = job.result
    if result is None or job.status is not Status.SUCCESSFUL or not (job.as_document or job.by_reference):
        await handler.give_result(job)
        return
    if job.by_reference and not job.as_document:
        handler.refer(f"/jobs/{job.id}/results/{OUTPUT}", OUTPUT)
        return
    document = None
    if result.size <= _INLINE and not job.by_reference:
        document = _written_out(result, await _content(handler, job, result))
    handler.give(document or reference(job, _media_type(result)))


async def _content(handler: Handler, job: Job, result: Result) -> bytes:
    gateway = handler.gateway
    if not result.file:
        return await gateway.ask(lambda store: store.content(job.id))
    try:
        return await gateway.on_disk(gateway.spool.result(result.file).read_bytes)
    except FileNotFoundError:
        raise Problem(410, "The result is gone", "It was removed before its time.") from None


def _written_out(result: Result, content: bytes) -> dict[str, Any] | None:
    """A document of results with the value in it, for JSON and text; None for anything else."""
    media_type = _media_type(result)
    kind = media_type.partition(";")[0].strip().lower()
    if any(name.lower() == "content-encoding" for name, _ in result.headers):
        return None
    try:
        if kind == JSON or kind.endswith("+json"):
            return {OUTPUT: {"value": json.loads(content), "mediaType": media_type}}
        if kind.startswith("text/"):
            return {OUTPUT: {"value": content.decode(), "mediaType": media_type}}
    except ValueError:
        return None
    return None


def _media_type(result: Result) -> str:
    return next((value for name, value in result.headers if name.lower() == "content-type"), "")


def _progress(body: bytes) -> tuple[int, str]:
    try:
        said = json.loads(body)
        progress, message = said.get("progress", 0), said.get("message", "")
    except (ValueError, AttributeError):
        raise Problem(400, 'Progress is JSON: {"progress": 40, "message": "reading"}') from None
    if isinstance(progress, bool) or not isinstance(progress, (int, float)) or not isinstance(message, str):
        raise Problem(400, '"progress" is a number from 0 to 100, "message" a text')
    return int(max(0, min(100, progress))), message[:_LONGEST_MESSAGE]
