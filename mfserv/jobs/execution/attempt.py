"""Call: one attempt: the request goes to the service through the router, the answer into the spool."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mfext.net.final_answer import FinalAnswer
from mfext.net.unix import UnixHTTPConnection
from mfserv.jobs.execution.retry_policy import Answered, BrokenOff, Hopeless, Outcome, Stopped, Unreachable
from mfserv.jobs.job import Job, Result
from mfserv.jobs.spool import CHUNK, SMALL, Spool, SpoolFile

#: Headers of an answer that are of the connection, or of one client.
_NOT_KEPT = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "date", "server", "set-cookie", "accept-ranges", "content-range"),
    )
)


class Call:
    """One attempt, in a thread of its own."""

    def __init__(
        self, job: Job, body: bytes, router: Path, spool: Spool, max_result: int, done: Callable[[Call], None]
    ) -> None:
        """Begins nothing yet; *body* is the one of the job, unless that is in the spool."""
        self.job = job
        self._body = body
        #: How it ended, once it has.
        self.outcome: Outcome = BrokenOff("it never began")
        self._router = router
        self._spool = spool
        self._max_result = max_result
        self._done = done
        self._connection = UnixConnection(router)
        self._stopped: Outcome | None = None
        self._thread = threading.Thread(target=self._run, name=f"job-{job.id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, outcome: Outcome | None = None) -> None:
        """End it now, with *outcome*; what is under way is broken off."""
        self._stopped = outcome or Stopped()
        self._connection.break_off()

    def _run(self) -> None:
        try:
            outcome = self._attempt()
        except OSError as error:
            # Our own disk: a service that breaks off is told apart where it is read.
            outcome = BrokenOff(f"the result cannot be kept: {error.strerror}")
        except Exception as error:  # a thread that ends without a word would leave the job to its lease
            outcome = BrokenOff(f"{type(error).__name__}: {error}")
        if self._stopped:
            if isinstance(outcome, Answered) and outcome.result.file:
                self._spool.result(outcome.result.file).unlink(missing_ok=True)
            outcome = self._stopped
        self.outcome = outcome
        self._done(self)

    def _attempt(self) -> Outcome:
        connection = self._connection
        try:
            connection.connect()
        except OSError as error:
            return Unreachable(f"the router cannot be reached: {error.strerror}")
        try:
            self._send(connection)
            answer = connection.getresponse()
        except FileNotFoundError:
            return Hopeless("the body of the request is gone")
        except (OSError, http.client.HTTPException) as error:
            return BrokenOff(f"the service broke off: {_words(error)}")
        else:
            return self._receive(answer)
        finally:
            connection.close()

    def _send(self, connection: UnixConnection) -> None:
        job = self.job
        has_host = any(name.lower() == "host" for name, _ in job.headers)
        connection.putrequest(job.method, job.uri, skip_host=has_host, skip_accept_encoding=True)
        for name, value in job.headers:
            connection.putheader(name, value.encode("utf-8", "surrogateescape"))
        connection.putheader("X-Metwork-Job", job.id)
        connection.putheader("X-Metwork-Attempt", str(job.attempts))
        connection.putheader("X-Metwork-Progress", f"/jobs/{job.id}/progress/{job.token}")
        if job.body_size or job.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(job.body_size))
        body = self._spool.body(job.id).open("rb") if job.in_spool else io.BytesIO(self._body)
        # A service may answer, with a refusal, before it has read all.
        with body, suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders()
            while data := body.read(CHUNK):
                connection.send(data)

    def _receive(self, answer: http.client.HTTPResponse) -> Outcome:
        length = answer.length
        if length is not None and length > self._max_result:
            return self._too_large()
        body = ResultBody(self._spool.result(f"{self.job.id}.{self.job.token}"))
        try:
            fault = self._copy(answer, body)
            if fault is None and length is not None and body.size != length:
                fault = BrokenOff(f"the service broke off after {body.size} of {length} bytes")
            if fault:
                body.discard()
                return fault
            file = body.keep()
        except BaseException:
            body.discard()
            raise
        headers = tuple((name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_KEPT)
        result = Result(answer.status, headers, file, body.size)
        return Answered(result, bytes(body.content), _seconds(answer.getheader("Retry-After", "")))

    def _copy(self, answer: http.client.HTTPResponse, body: ResultBody) -> Outcome | None:
        """The body of *answer* into *body*; what is wrong with it."""
        while True:
            try:
                data = answer.read1(CHUNK)
            except (OSError, http.client.HTTPException, ValueError) as error:
                return BrokenOff(f"the service broke off: {_words(error)}")
            if not data:
                return None
            if body.size + len(data) > self._max_result:
                return self._too_large()
            body.write(data)

    def _too_large(self) -> Hopeless:
        return Hopeless(f"the result is larger than {self._max_result} bytes")


class ResultBody:
    """What a service answers, in memory as long as it is small."""

    def __init__(self, path: Path) -> None:
        self.content = bytearray()
        self._path = path
        self._file: SpoolFile | None = None

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.size if self._file else len(self.content)

    def write(self, data: bytes) -> None:
        """Add *data*."""
        if self._file is None and len(self.content) + len(data) > SMALL:
            self._file = SpoolFile(self._path)
            self._file.write(bytes(self.content))
            self.content.clear()
        if self._file:
            self._file.write(data)
        else:
            self.content += data

    def keep(self) -> str:
        """Bring it to disk; the name of its file, or '' when it has none."""
        if self._file is None:
            return ""
        self._file.keep()
        return self._path.name

    def discard(self) -> None:
        """Remove it."""
        if self._file:
            self._file.discard()


class UnixConnection(UnixHTTPConnection):
    """HTTP over a unix socket, which another thread may break off."""

    response_class = FinalAnswer

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        super().__init__(path, timeout)
        self._is_broken_off = False

    def connect(self) -> None:
        """Reach the socket."""
        super().connect()
        if self._is_broken_off:
            self.break_off()

    def break_off(self) -> None:
        """End whatever another thread waits for."""
        self._is_broken_off = True
        sock = self.sock
        if sock:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() and len(text) < 9 else 0.0


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
