"""Submission: a request becomes a job. Its body is on disk and its record in the store before anything is answered."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.httputil import HTTPHeaders
from tornado.web import stream_request_body

from mfserv.jobs.config import MAX_EXECUTE
from mfserv.jobs.http.handler import Handler
from mfserv.jobs.http.ogc_processes import execution
from mfserv.jobs.http.prefer import preference, retry_after_s
from mfserv.jobs.http.problem import Problem, no_such_process
from mfserv.jobs.job import Job, new_id
from mfserv.jobs.route import ONLY, JobRoute
from mfserv.jobs.spool import SMALL, SpoolFile
from mfserv.jobs.stores.store import KeyReused, Limits, Offer, QueueFull

if TYPE_CHECKING:
    from mfserv.jobs.http.gateway import Submitted

#: Headers that end at the gateway: of the connection, of the waiting, of what the router says; and secrets, which are
#: for the router and are never written to disk.
_NOT_PASSED_ON = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "expect", "prefer", "idempotency-key", "range", "if-range"),
        *("authorization", "proxy-authorization", "cookie", "x-api-key"),
        *("x-metwork-class", "x-metwork-job", "x-metwork-attempt", "x-metwork-progress"),
    )
)
#: Headers of one who reads: they are for the result, which others may ask for later without them.
_OF_RESULTS = frozenset(("if-none-match", "if-modified-since"))
_MAX_KEY = 255
#: Seconds for which the rest of a body is taken whose request is refused.
_LINGER = 5.0
#: Says of the answer of a service that it may be anything.
_UNLIMITED = 1 << 62


@stream_request_body
class Receiving(Handler):
    """A request whose body is taken as it comes."""

    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
    limit = 0
    #: All of the body has come, or none of it will.
    _is_complete = False
    #: It is answered already; what still comes of the body is of no use.
    _is_refused = False
    _slow: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        # Tornado's own limit knows one answer only; ours is in data_received.
        self.request.connection.set_max_body_size(_UNLIMITED)  # type: ignore[union-attr]
        headers = self.request.headers
        # Who waits for a word before the body sends none when the word is no.
        self._is_complete = "Expect" in headers or not (
            "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"
        )
        try:
            self._prepare()
        except Problem as problem:
            self.refuse(problem)
        self._is_complete = False

    def _prepare(self) -> None:
        super().prepare()
        self.size = 0
        self._wait()
        self.expect()
        length = self.request.headers.get("Content-Length", "0")
        if length.isdecimal() and int(length) > self.limit:
            raise self._too_large()

    def expect(self) -> None:
        """Look at the request before its body comes."""

    async def take(self, data: bytes) -> None:
        """Get more of the body."""

    async def data_received(self, chunk: bytes) -> None:
        if self._finished or self._is_refused:
            return
        if self._slow:
            self._slow.cancel()
        self._wait()
        self.size += len(chunk)
        try:
            if self.size > self.limit:
                raise self._too_large()
            await self.take(chunk)
        except Problem as problem:
            self.refuse(problem)
        except OSError:
            self.refuse(Problem(507, "There is no room to keep the body", headers={"Retry-After": "60"}))

    def refuse(self, problem: Problem) -> None:
        """Answer with *problem*, and take what still comes of the body for a while.

        Who is cut off while sending sees a broken connection and not the answer.
        """
        if self._is_complete or self._finished or self._headers_written:
            super().refuse(problem)
            return
        self._is_refused = True
        self._write_problem(problem)
        self.set_header("Content-Length", str(len(problem.body)))
        self.flush().add_done_callback(lambda sent: sent.exception())
        if self._slow:
            self._slow.cancel()
        self._slow = asyncio.get_running_loop().call_later(_LINGER, self._end_refusal)

    def _end_refusal(self) -> None:
        if not self._finished:
            self.finish()

    def on_finish(self) -> None:
        super().on_finish()
        self.leave()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.leave()

    def leave(self) -> None:
        """The request is over, well or not."""
        if self._slow:
            self._slow.cancel()

    def complete(self) -> None:
        """The body is all there."""
        self._is_complete = True
        if self._slow:
            self._slow.cancel()
        if self._is_refused:
            self._end_refusal()

    def _wait(self) -> None:
        """Give up when nothing comes for too long."""
        self._slow = asyncio.get_running_loop().call_later(self.gateway.settings.body_timeout, self._too_slow)

    def _too_large(self) -> Problem:
        return Problem(413, "The body is too large", f"It may have {self.limit} bytes.")

    def _too_slow(self) -> None:
        seconds = self.gateway.settings.body_timeout
        self.refuse(Problem(408, "The body did not come in time", f"It may be silent for {seconds:g} seconds."))


class Taking(Receiving):
    """A request that becomes a job."""

    route: JobRoute
    #: Status of the answer that says where the job is.
    accepted = 202
    #: Where the body goes, once there is some.
    _file: SpoolFile | None = None
    _kept = False

    def expect(self) -> None:
        self.job_id = new_id()
        # The beginning of a body, so that a small one is written in one go.
        self._pending = bytearray()
        self.prefer = preference(self.request.headers.get_list("Prefer"))
        self.wanted = self.prefer.allowed(self.route.max_wait or self.gateway.settings.max_wait)
        if len(self.request.headers.get("Idempotency-Key", "")) > _MAX_KEY:
            raise Problem(400, f"An Idempotency-Key has at most {_MAX_KEY} characters")

    async def take(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) > SMALL:
            await self.gateway.on_disk(self._write)

    async def submit(self, job: Job) -> Submitted:
        """Keep *job* and the body; the earlier one when this request was made before.

        Raises:
            Problem: it cannot be accepted.
        """
        if job.in_spool:
            await self.gateway.on_disk(self._keep)
        settings = self.gateway.settings
        try:
            submitted = await self.gateway.submit(Offer(job, self._limits(), bytes(self._pending)))
        except QueueFull as full:
            later = {"Retry-After": str(retry_after_s(full.waiting, settings.runners * settings.concurrency))}
            status, title = (429, "Too many jobs of yours wait") if full.of_client else (503, "Too many jobs wait")
            raise Problem(status, title, full.message, headers=later) from None
        except KeyReused:
            raise Problem(
                422,
                "The Idempotency-Key belongs to another request",
                "It was used before with another method, address or body.",
            ) from None
        self._kept = submitted.job.id == job.id
        return submitted

    async def answer(self, submitted: Submitted, seconds: float) -> None:
        """Give the result of what was *submitted* if it comes within *seconds*, or else say where it will be."""
        job = submitted.job
        ended = job if job.status.is_final else await self.gateway.waiting.end_of(job.id, seconds)
        is_async = ended is None or ended.result is None
        applied = self.wanted.applied(is_async=is_async)
        if applied:
            self.set_header("Preference-Applied", applied)
        self.set_header("Location", f"/jobs/{job.id}")
        if ended and ended.result:
            await self.give_ended(ended)
            return
        if not ended and not seconds:
            self.give(self.description(job, submitted.position), self.accepted)
            return
        now = ended or await self.gateway.ask(lambda store: store.get(job.id))
        self.give(await self.describe(now or job), self.accepted)

    async def give_ended(self, job: Job) -> None:
        """Answer with the result."""
        await self.give_result(job)

    def new_job(self, **fields: Any) -> Job:
        """The job for this request."""
        settings, route = self.gateway.settings, self.route
        headers = self.request.headers
        size = self._file.size + len(self._pending) if self._file else len(self._pending)
        job = Job(
            id=self.job_id,
            client=self.client,
            process=route.id,
            method=self.request.method or "",
            uri=self.request.uri or "",
            headers=passed_on(headers, self.request.method or ""),
            created=time.time(),
            in_spool=size > SMALL,
            body_size=size,
            priority=self.gateway.routes.now().priority(headers.get("X-Metwork-Class", "")),
            ttl=route.result_ttl or settings.result_ttl,
            timeout=route.timeout or settings.timeout,
            max_attempts=route.attempts,
            max_result=route.max_result,
            key=headers.get("Idempotency-Key", ""),
        )
        return replace(job, **fields)

    def _limits(self) -> Limits:
        settings = self.gateway.settings
        return Limits(settings.max_queue, settings.max_queue_client, self.route.max_queue)

    def body_digest(self) -> str:
        """Tells one body from another."""
        digest = self._file.digest.copy() if self._file else hashlib.sha256()
        digest.update(self._pending)
        return digest.hexdigest()

    def leave(self) -> None:
        super().leave()
        if self._file and not self._kept:
            self._file.discard()

    def _write(self) -> None:
        if self._file is None:
            self._file = SpoolFile(self.gateway.spool.body(self.job_id))
        self._file.write(bytes(self._pending))
        self._pending.clear()

    def _keep(self) -> None:
        self._write()
        if self._file:
            self._file.keep()


class Submission(Taking):
    """A request for a route, whatever it is: RFC 7240's way in."""

    def expect(self) -> None:
        route = self.gateway.routes.now().route_of(self.request.path, self.request.headers.get("Host", ""))
        if route is None:
            raise Problem(404, "No service takes jobs at this address", "/processes lists those that do.")
        self.route = route
        self.limit = route.max_body or self.gateway.settings.max_body
        super().expect()

    async def _do(self) -> None:
        self.complete()
        if self._finished:
            return
        job = self.new_job()
        job = replace(job, fingerprint=fingerprint(job, self.body_digest())) if job.key else job
        await self.answer(await self.submit(job), self.wanted.wait or 0)

    get = post = put = patch = delete = _do


class Execution(Taking):
    """``/processes/ID/execution``: OGC API - Processes' way in."""

    methods = ("POST",)
    limit = MAX_EXECUTE
    accepted = 201

    def expect(self) -> None:
        name = self.path_args[0]
        route = self.gateway.routes.now().process(name)
        if route is None:
            raise no_such_process(name)
        self.route = route
        super().expect()

    async def post(self, _name: str) -> None:
        self.complete()
        if self._finished:
            return
        asked = bytes(self._pending)
        inputs, as_document, by_reference = execution(self.route, _json(asked))
        self._pending.clear()
        fields = self._called_with(inputs)
        job = self.new_job(is_process=True, as_document=as_document, by_reference=by_reference, **fields)
        job = replace(job, fingerprint=fingerprint(job, hashlib.sha256(asked).hexdigest())) if job.key else job
        await self.answer(await self.submit(job), self._seconds())

    async def give_ended(self, job: Job) -> None:
        from mfserv.jobs.http.job_pages import give_process_result

        await give_process_result(self, job)

    def _called_with(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """How the service is called: inputs go into the query of a GET, and are the JSON body of anything else."""
        path = self.route.execute or self.route.path
        kept = tuple((name, value) for name, value in passed_on(self.request.headers, "POST") if name != "Content-Type")
        if self.route.method == "GET":
            query = urlencode({name: _text(value) for name, value in inputs.items()}, doseq=True)
            return {"method": "GET", "uri": f"{path}?{query}" if query else path, "headers": kept}
        self._pending += json.dumps(inputs).encode()
        return {"method": self.route.method, "uri": path, "headers": (*kept, ("Content-Type", "application/json"))}

    def _seconds(self) -> float:
        """How long to wait for the end: a process that can be waited for is, unless the client does not want to."""
        if self.wanted.wait is not None:
            return self.wanted.wait
        is_async = self.prefer.respond_async or self.route.mode == ONLY
        return 0.0 if is_async else self.gateway.settings.sync_wait


def passed_on(headers: HTTPHeaders, method: str) -> tuple[tuple[str, str], ...]:
    """The headers that the service gets."""
    ended = _NOT_PASSED_ON | (_OF_RESULTS if method == "GET" else frozenset())
    return tuple((name, value) for name, value in headers.get_all() if name.lower() not in ended)


def fingerprint(job: Job, body_digest: str) -> str:
    """What an Idempotency-Key stands for."""
    media_type = next((value for name, value in job.headers if name == "Content-Type"), "")
    text = "\n".join((job.process, job.method, job.uri, media_type, body_digest))
    return hashlib.sha256(text.encode()).hexdigest()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data or b"{}")
    except ValueError as error:
        raise Problem(400, "The body is not JSON", str(error)) from None


def _text(value: Any) -> Any:
    return value if isinstance(value, (str, list)) else json.dumps(value)
