"""HTTP upload: one request of the HTTP receiver, from its head to the answer that says that its files are safe."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler, stream_request_body

from mfdata.receivers.http.body import Body, FileBody, FormBody, announced_name, checked_name
from mfdata.receivers.http.checksum import Checksums
from mfdata.receivers.http.question import ALLOW, QUESTIONS, UPLOADS, answer_to, name_in
from mfdata.receivers.http.refusal import Refusal, later, refusal_for
from mfdata.receivers.upload import Upload
from mfdata.storage.file_names import LONGEST, marked
from mfext.log import get_logger
from mfext.net.problem import MEDIA_TYPE, problem_body
from mfext.net.users import User

if TYPE_CHECKING:
    from mfdata.receivers.http.receiver import HttpReceiver

log = get_logger(__name__)

#: Seconds to wait for a taken name to become free, and between two looks.
_PATIENCE, _LOOK_AGAIN = 1.0, 0.02
#: Seconds for which a client that is refused may go on sending, so that it reads the answer and not a reset.
_LINGER = 2.0
#: Bytes that a question may have as its body, which is passed over.
_LONGEST_QUESTION = 64 * 1024


@stream_request_body
class HttpUpload(RequestHandler):
    """``prepare`` decides by the head, ``data_received`` takes the body as it comes, ``_settle`` ends it.

    A refusal is answered at once: before the body, when the client waits to be asked for it.
    """

    SUPPORTED_METHODS = (*UPLOADS, *QUESTIONS)

    def initialize(self, receiver: HttpReceiver) -> None:
        self._receiver = receiver
        self._user: User | None = None
        self._body: Body | None = None
        self._checksums: Checksums | None = None
        self._received = 0
        self._begun = time.monotonic()
        #: When something came last; None while we are the one to be waited for.
        self._heard_at: float | None = self._begun
        #: Seconds that we have waited for the body, and the bytes that came meanwhile, since the last look.
        self._waited, self._came = 0.0, 0
        self._is_answered = self._is_settling = self._is_gone = False
        self._timers: list[asyncio.TimerHandle] = []

    # --- what tornado calls

    async def prepare(self) -> None:
        self._receiver.begun(self)
        self._look_at_clock()
        try:
            await self._begin()
        except Refusal as refusal:
            await self._refuse(refusal, body_comes=_body_comes(self.request.headers))
        else:
            # As tornado looks for it: the word may be in any case.
            if _waits(self.request.headers):
                self.request.headers["Expect"] = "100-continue"

    async def data_received(self, chunk: bytes) -> None:
        if self._is_answered or self._body is None:
            return  # refused: what still comes is passed over
        self._waited += time.monotonic() - (self._heard_at or time.monotonic())
        self._heard_at = None
        try:
            self._look_at_rate(len(chunk))
            await self._receiver.on_disk(self._take, chunk)
            await self._slow_down()
        except (Refusal, OSError) as error:
            await self._refuse(error if isinstance(error, Refusal) else refusal_for(error), body_comes=True)
        self._heard_at = time.monotonic()
        if self._is_gone:
            self._end()

    async def put(self) -> None:
        if self._is_answered:
            await self._end_linger()
            return
        self._heard_at = None
        self._is_settling = True
        try:
            await self._settle()
        except (Refusal, OSError) as error:
            await self._refuse(error if isinstance(error, Refusal) else refusal_for(error), body_comes=False)
        finally:
            self._is_settling = False
            self._end()

    post = put

    async def get(self) -> None:
        """Answer a question, which brings no file."""
        if self._is_answered:
            await self._end_linger()
            return
        method, path = str(self.request.method), self.request.path
        user = self._user.name if self._user else ""
        folder = self._receiver.reception.folder_of(self._user.directory if self._user else "")
        memory = self._receiver.memory(self.request.connection, user)
        try:
            answer = answer_to(method, path, memory.find(str(folder / name_in(path))))
        except Refusal as refusal:
            await self._refuse(refusal, body_comes=False)
            return
        self._is_answered = True
        self._send(answer.status, answer.body, answer.headers)
        with suppress(StreamClosedError):
            await self.finish()

    head = options = propfind = mkcol = get

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._is_gone = True
        if not self._is_settling and self._heard_at is not None:
            self._end()

    def on_finish(self) -> None:
        if not self._is_settling:
            self._end()

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def write_error(self, status_code: int, **_: Any) -> None:
        self._is_answered = True
        self._send_problem(status_code, self._reason, ALLOW if status_code == 405 else {})
        self.finish()

    # --- the head

    async def _begin(self) -> None:
        receiver, headers = self._receiver, self.request.headers
        if self.request.method == "OPTIONS":
            # Who asks need not say who it is: so nothing is waited for.
            _check_question(headers, 0)
            return
        self._user = await receiver.gate.user_of(headers.get("Authorization", ""))
        self.request.connection.visitor.greet()  # type: ignore[union-attr]
        if self.request.method in QUESTIONS:
            _check_question(headers, _LONGEST_QUESTION)
            return
        if headers.get("Sec-Fetch-Site", "") in ("cross-site", "same-site"):
            raise Refusal(403, "a page of another server cannot send files with your password")
        if receiver.is_leaving:
            raise later("the service is closing", 1)
        reason = receiver.reception.refusal()
        if reason:
            raise later(f"intake pauses: {reason}")
        _check_head(headers)
        content_type = headers.get("Content-Type", "")
        is_form = self.request.method == "POST" and content_type.lower().startswith("multipart/form-data")
        if not is_form and int(headers.get("Content-Length", "0")) > receiver.keys.max_size:
            raise Refusal(413, f"the file is larger than {receiver.keys.max_size} bytes")
        receiver.gate.admit(self._user)
        try:
            self._checksums = Checksums(headers)
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        try:
            self._body = await receiver.on_disk(self._made_body, content_type if is_form else "")
        except OSError as error:
            raise refusal_for(error) from error

    def _made_body(self, content_type: str) -> Body:
        if content_type:
            if self.request.path != "/":
                raise Refusal(400, "the files of a form have their names in the form: send it to /")
            return FormBody(content_type, self._upload, self._receiver.keys.max_files)
        names = [self.request.headers.get(name, "") for name in ("X-Filename", "Content-Disposition")]
        return FileBody(self._upload(announced_name(self.request.path, names)))

    def _upload(self, raw: bytes) -> Upload:
        receiver = self._receiver
        name = checked_name(raw, LONGEST)
        if receiver.reception.is_ignored(name):
            raise Refusal(400, f"files called like {name!r} are left alone here: send it under its final name")
        if not receiver.may_be_called(name):
            raise Refusal(403, f"no file may be called {name!r} here")
        folder = receiver.reception.folder_of(self._user.directory if self._user else "")
        folder.mkdir(parents=True, exist_ok=True)
        return Upload(str(folder / name), receiver.keys.max_size, receiver.reception.sidecars)

    # --- the body

    def _take(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._checksums:
            self._checksums.update(chunk)
        if self._body:
            self._body.write(chunk)

    async def _slow_down(self) -> None:
        rate = self._receiver.keys.max_rate
        ahead = self._received / rate - (time.monotonic() - self._begun) if rate else 0.0
        if ahead > 0:
            await asyncio.sleep(ahead)

    def _look_at_rate(self, size: int) -> None:
        """Leave a client that sends too little."""
        keys = self._receiver.keys
        self._came += size
        if self._waited >= keys.timeout:
            if self._came < keys.min_rate * self._waited:
                raise Refusal(408, f"less than {keys.min_rate} bytes came in a second")
            self._waited, self._came = 0.0, 0

    def _look_at_clock(self) -> None:
        """Leave a client that has said nothing for too long."""
        timeout = self._receiver.keys.timeout
        silent = time.monotonic() - self._heard_at if self._heard_at is not None else 0.0
        if silent >= timeout and not self._is_answered:
            task = asyncio.ensure_future(
                self._refuse(Refusal(408, f"nothing came for {timeout:g} s"), body_comes=False)
            )
            self._receiver.keep(task)
        else:
            self._later(max(0.1, timeout - silent), self._look_at_clock)

    # --- the end

    async def _settle(self) -> None:
        receiver, body = self._receiver, self._body
        if body is None:
            raise Refusal(400, "there is no file")
        if self._checksums and self._checksums.fault:
            raise Refusal(400, self._checksums.fault)
        await receiver.on_disk(body.end)
        if self._is_gone:  # nobody is told, so that it will come again
            return
        files = [{"name": await self._published(upload), "size": upload.size} for upload in body.uploads]
        memory = receiver.memory(self.request.connection, self._user.name if self._user else "")
        for upload in body.uploads:
            memory.remember(upload.name, upload.size)
        self._is_answered = True
        self._write(201, {"files": files}, {})
        with suppress(StreamClosedError):
            await self.finish()

    async def _published(self, upload: Upload) -> str:
        """Let the file appear, never in place of another one; the name that it has."""
        wanted = Path(upload.name)
        deadline = time.monotonic() + _PATIENCE
        while not await self._receiver.on_disk(upload.publish, wanted):
            if time.monotonic() > deadline:
                other = wanted.with_name(marked(wanted.name, upload.uid))
                if not await self._receiver.on_disk(upload.publish, other):
                    raise Refusal(500, f"the name {wanted.name!r} does not become free")
                return other.name
            await asyncio.sleep(_LOOK_AGAIN)
        return wanted.name

    async def _refuse(self, refusal: Refusal, *, body_comes: bool) -> None:
        """Answer, and nothing of the request is kept; *body_comes*: the client sends before it looks for answers."""
        if self._is_answered or self._finished:
            return
        self._is_answered = True
        self._log_refusal(refusal)
        if self._body:
            await self._receiver.on_disk(self._body.close)
        with suppress(StreamClosedError):
            if not body_comes:
                self._send_problem(refusal.status, refusal.reason, refusal.headers)
                await self.finish()
                return
            closing = {**refusal.headers, "Connection": "close"}
            self._send_problem(refusal.status, refusal.reason, closing)
            await self.flush()
            self._later(_LINGER, lambda: self._receiver.keep(asyncio.ensure_future(self._end_linger())))

    async def _end_linger(self) -> None:
        if not self._finished:
            with suppress(StreamClosedError):
                await self.finish()

    def _log_refusal(self, refusal: Refusal) -> None:
        log.warning(
            "an upload was not kept",
            name=self.request.path,
            user=self._user.name if self._user else "",
            address=self.request.remote_ip,
            bytes=self._received,
            status=refusal.status,
            reason=refusal.reason,
        )

    def _write(self, status: int, document: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self._send(status, json.dumps(document).encode() + b"\n", {"Content-Type": "application/json", **headers})

    def _send_problem(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        self._send(status, problem_body(status, reason), {"Content-Type": MEDIA_TYPE, **headers})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.set_status(status)
        self.clear_header("Content-Type")
        if status != 204:
            self.set_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.set_header(name, value)
        if self.request.method != "HEAD" and content:
            self.write(content)

    def _later(self, seconds: float, act: Any) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > time.monotonic()]
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    def _end(self) -> None:
        """Nothing more comes; what was not published is discarded."""
        for timer in self._timers:
            timer.cancel()
        if self._body:
            self._body.close()
        if self._is_gone and not self._is_answered:
            self._is_answered = True
            self._log_refusal(Refusal(499, "the client left before the end"))
        self._receiver.ended(self)


def _waits(headers: Mapping[str, str]) -> bool:
    """Whether the client sends no body before it is asked to."""
    return headers.get("Expect", "").lower() == "100-continue"


def _body_comes(headers: Mapping[str, str]) -> bool:
    has_body = "Content-Length" in headers or "Transfer-Encoding" in headers
    return has_body and not _waits(headers)


def _check_question(headers: Mapping[str, str], longest: int) -> None:
    length = headers.get("Content-Length", "0")
    if "Transfer-Encoding" in headers or not length.isdecimal() or int(length) > longest:
        raise Refusal(413, f"this may have {longest} bytes, and says how many")


def _check_head(headers: Mapping[str, str]) -> None:
    """Refuse what would not do what the client thinks."""
    if "Content-Range" in headers:
        raise Refusal(400, "an upload cannot be continued: send the whole file, without Content-Range")
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise Refusal(
            415, "Content-Encoding is not undone: send the file as it shall be kept", {"Accept-Encoding": "identity"}
        )
    if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        raise Refusal(411, "say how long the file is: Content-Length, or Transfer-Encoding: chunked")
    if not headers.get("Content-Length", "0").isdecimal():
        raise Refusal(400, "Content-Length is no number")
