"""Handler: what the answers of the gateway have in common: who asks, refusals as JSON, and results that stream."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from mfext.errors import ServiceUnavailable
from mfext.log import get_logger
from mfext.net.conditional import FAILED, NOT_MODIFIED, NotSatisfiable, Version, asked_part, http_date, verdict
from mfext.net.problem import MEDIA_TYPE
from mfserv.jobs.http.ogc_processes import JSON, Document, status_info
from mfserv.jobs.http.prefer import retry_after_s
from mfserv.jobs.http.problem import NOT_READY, Problem, no_such_job, not_allowed, unavailable
from mfserv.jobs.job import Job, Result, Status
from mfserv.jobs.spool import CHUNK

if TYPE_CHECKING:
    from mfserv.jobs.http.gateway import Gateway

log = get_logger(__name__)

#: Begins what the router calls a client of whom it knows no more than the address.
ADDRESS = "address:"


class Handler(RequestHandler):
    """One request."""

    gateway: Gateway
    #: Methods that are for this place.
    methods: tuple[str, ...] = ("GET", "HEAD")
    #: What tells the answer from another one is said already.
    _has_version = False

    def initialize(self, gateway: Gateway) -> None:
        self.gateway = gateway
        gateway.begun(self)

    def prepare(self) -> None:
        if self.request.method not in self.methods:
            raise not_allowed(*self.methods)

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Type", JSON)

    @property
    def client(self) -> str:
        """Who asks, as the router knows; '' when it does not say."""
        return self.request.headers.get("X-Metwork-Client", "")

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A number from the query.

        Raises:
            Problem: it is none, or out of bounds.
        """
        text = self.get_query_argument(name, str(default))
        if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
            raise Problem(400, f'"{name}" is a whole number from {least} to {most}')
        return int(text)

    async def job(self, job_id: str) -> Job:
        """The job of that name, if it is for this client.

        A client with a name sees its own only. Addresses change under way: whoever is known by no more than that needs
        the id, which cannot be guessed.
        """
        job = await self.gateway.ask(lambda store: store.get(job_id))
        if job is None or (job.client != self.client and not _is_address(job.client)):
            raise no_such_job()
        return job

    async def describe(self, job: Job) -> Document:
        """What the client is told of *job*; sets ``Retry-After`` while there is more to come."""
        position = await self.gateway.ask(lambda store: store.position(job)) if job.status is Status.ACCEPTED else 0
        return self.description(job, position)

    def description(self, job: Job, position: int) -> Document:
        """The same, before which *position* others come."""
        if not job.status.is_final:
            settings = self.gateway.settings
            self.set_header("Retry-After", str(retry_after_s(position, settings.runners * settings.concurrency)))
        return status_info(job, position)

    def give(self, document: Document, status: int = 200) -> None:
        """Answer with *document*."""
        self.set_status(status)
        self.set_header("Content-Type", JSON)
        self.finish(json.dumps(document).encode() + b"\n")

    def refer(self, place: str, output: str) -> None:
        """Answer with nothing but where an output is."""
        self.set_status(204)
        self.clear_header("Content-Type")
        self.set_header("Link", f'<{place}>; rel="{output}"')
        self.finish()

    async def give_result(self, job: Job) -> None:
        """Answer with what the service answered."""
        result = _result_of(job)
        version = _version(job, result)
        first, last = self._asked_range(result, version)
        self.set_status(206 if (first, last) != (0, result.size - 1) else result.http_status)
        self.clear_header("Content-Type")
        for name, value in result.headers:
            self.add_header(name, value)
        self._has_version = True
        if result.http_status == 200:
            self.set_header("Accept-Ranges", "bytes")
            self.set_header("Etag", version.etag)
        if self._is_known(result, version):
            self.set_status(304)
            self.finish()
            return
        if self.get_status() == 206:
            self.set_header("Content-Range", f"bytes {first}-{last}/{result.size}")
        if self.get_status() not in (204, 304):
            self.set_header("Content-Length", str(last - first + 1))
        if self.request.method == "HEAD" or not result.size:
            self.finish()
            return
        if result.file:
            await self._stream(self.gateway.spool.result(result.file), first, last - first + 1)
        else:
            content = await self.gateway.ask(lambda store: store.content(job.id))
            self.finish(content[first : last + 1])

    def compute_etag(self) -> str | None:
        """Tornado's own is of what was written, which is nothing for HEAD: a result has one already."""
        return None if self._has_version else super().compute_etag()

    def _is_known(self, result: Result, version: Version) -> bool:
        """Whether the client has the result already.

        Raises:
            Problem: it wants another one.
        """
        if not (200 <= result.http_status < 300 and self.request.method in ("GET", "HEAD")):
            return False
        found = verdict(self.request.method, self.request.headers, version)
        if found == FAILED:
            raise Problem(412, "The result is not the one that was asked for")
        return found == NOT_MODIFIED

    def _asked_range(self, result: Result, version: Version) -> tuple[int, int]:
        """First and last byte to send."""
        whole = (0, result.size - 1)
        if result.http_status != 200 or self._is_known(result, version):
            return whole
        try:
            part = asked_part(self.request.method or "", self.request.headers, version, result.size, time.time())
        except NotSatisfiable:
            headers = {"Content-Range": f"bytes */{result.size}", "Etag": version.etag}
            raise Problem(416, "The result has no such part", headers=headers) from None
        return part or whole

    async def _stream(self, path: Path, first: int, size: int) -> None:
        try:
            file = await self.gateway.on_disk(lambda: path.open("rb", buffering=0))
        except FileNotFoundError:
            self.clear()
            raise Problem(410, "The result is gone", "It was removed before its time.") from None
        with file:
            file.seek(first)
            while size > 0 and (data := await self.gateway.on_disk(partial(file.read, min(CHUNK, size)))):
                size -= len(data)
                self.write(data)
                await self.flush()
        self.finish()

    def refuse(self, problem: Problem) -> None:
        """Answer with *problem*, unless something was answered before."""
        if self._finished or self._headers_written:
            return
        self._write_problem(problem)
        self.finish()

    def _write_problem(self, problem: Problem) -> None:
        self.clear()
        self.set_status(problem.status, problem.title)
        self.set_header("Content-Type", MEDIA_TYPE)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        self.write(problem.body)

    def write_error(self, status_code: int, **details: Any) -> None:
        error = details.get("exc_info", (None, None, None))[1]
        # Tornado's word for a method that it does not know itself.
        self.refuse(not_allowed(*self.methods) if status_code == 405 else _problem(error, status_code, self._reason))

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        if isinstance(value, ServiceUnavailable):
            log.warning("the store of the jobs is away", reason=value.message)
        elif not isinstance(value, (Problem, HTTPError, StreamClosedError)):
            log.exception("a request failed", path=self.request.path, request_id=self._request_id)

    def on_finish(self) -> None:
        self.gateway.ended(self)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.gateway.ended(self)

    @property
    def _request_id(self) -> str:
        return self.request.headers.get("X-Request-Id", "")


def _problem(error: BaseException | None, status: int, reason: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ServiceUnavailable):
        return unavailable("The store of the jobs is away. Nothing was accepted; try again.")
    if isinstance(error, OSError) and status == 500:
        return Problem(507, "There is no room to keep it", headers={"Retry-After": "60"})
    return Problem(status, reason)


def _result_of(job: Job) -> Result:
    """The result of *job*.

    Raises:
        Problem: there is none.
    """
    if job.result and job.result.http_status < 200:
        raise Problem(
            500, "The result is lost", "An interim answer of the service was taken for it, by a former version."
        )
    if job.result:
        return job.result
    if job.status is Status.DISMISSED:
        raise Problem(410, "The job was dismissed")
    if job.status is Status.FAILED:
        raise Problem(500, "The job failed", job.message)
    raise Problem(404, "There is no result yet", f"The job is {job.status}.", NOT_READY, {"Retry-After": "1"})


def _version(job: Job, result: Result) -> Version:
    """What tells *result* from another one: what the service says, or else of which job and which end of it it is."""
    said = {name.lower(): value for name, value in result.headers}
    etag = said.get("etag") or f'"{job.id}.{int(job.finished * 1000)}"'
    return Version(etag, http_date(said.get("last-modified")))


def _is_address(client: str) -> bool:
    return not client or client.startswith(ADDRESS)
