"""HTTP server: tornado's, with the parts of HTTP that it lacks, and places for those who say who they are."""

from __future__ import annotations

import asyncio
import copy
import re
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from tornado import gen
from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection, _ExceptionLoggingContext
from tornado.httpserver import HTTPServer, _HTTPRequestContext
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    parse_request_start_line,
)
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.log import app_log

from mfdata.receivers.ftp.received import Memory
from mfdata.receivers.http.refusal import Refusal, later
from mfext.log import get_logger
from mfext.net.problem import raw_answer

log = get_logger(__name__)

#: Bytes of a request line, of a head, of the line before a chunk, and of all trailers.
LONGEST_LINE, LONGEST_HEAD, _LONGEST_CHUNK_LINE, _LONGEST_TRAILERS = 8 * 1024, 64 * 1024, 4 * 1024, 16 * 1024
#: What ends a head, or shows that it is too long: tornado would close without a word.
_HEAD = rb"\r?\n\r?\n|\A(?s:(?:(?!\r?\n\r?\n).){%d})" % (LONGEST_HEAD + 1)
_ABSOLUTE = re.compile(r"(?i)https?://(?P<authority>[^/?#]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?")
#: Seconds in which a client that is refused may read that, while it sends what is passed over.
LINGER_S = 2.0
#: Chunks after which others have a turn.
_CHUNKS = 1000


class Connection(HTTP1Connection):
    """One request. As tornado's, with absolute URLs, chunk extensions, trailers, and a word with each refusal."""

    #: What tornado keeps of the answer, once it has begun.
    _response_start_line: Any
    visitor: Visitor

    async def _read_message_inner(self, delegate: HTTPMessageDelegate, num_1xx: int = 0) -> bool:
        visitor = self.visitor
        has_begun = False
        try:
            line, headers = self._parsed(await self._head())
            self._request_start_line, self._request_headers = line, headers
            self._disconnect_on_finish = not self._can_keep_alive(line, headers)
            has_begun = visitor.is_served = True
            await _handled(delegate.headers_received(line, headers))
            if headers.get("Expect") == "100-continue" and not self._write_finished:
                await self.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._read_body(0, headers, delegate)
            if body is not None:
                await body
            self._read_finished = True
            has_begun = False
            if not self._write_finished:
                with _ExceptionLoggingContext(app_log):
                    delegate.finish()
            if not self._finish_future.done() and not self.stream.closed():
                self.stream.set_close_callback(self._on_connection_close)
                await self._finish_future
        except (Refusal, HTTPInputError) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(400, f"this is no HTTP: {error}")
            if has_begun:
                has_begun = False
                delegate.on_connection_close()
            await self._refuse(refusal, visitor)
            return False
        finally:
            visitor.is_served = False
            if has_begun:
                with _ExceptionLoggingContext(app_log):
                    delegate.on_connection_close()
            self._clear_callbacks()
        return True

    async def _head(self) -> bytes:
        found = await self._up_to_empty_line()
        if not found.strip(b"\r\n"):  # empty lines before a request are passed over (RFC 9112, 2.2)
            found = await self._up_to_empty_line()
        end = found.lstrip(b"\r\n").find(b"\n")
        if end > LONGEST_LINE or (end < 0 and len(found) > LONGEST_HEAD):
            raise Refusal(414, f"the request line is longer than {LONGEST_LINE} bytes")
        if len(found) > LONGEST_HEAD:
            raise Refusal(431, f"the head is longer than {LONGEST_HEAD} bytes")
        return found

    async def _up_to_empty_line(self) -> bytes:
        head = self.stream.read_until_regex(_HEAD)
        try:
            found: bytes = await gen.with_timeout(
                self.stream.io_loop.time() + (self.params.header_timeout or 0),
                head,
                quiet_exceptions=StreamClosedError,
            )
        except TimeoutError:
            raise StreamClosedError from None  # nothing was asked, so nothing is answered
        return found

    def _parsed(self, head: bytes) -> tuple[RequestStartLine, HTTPHeaders]:
        text, headers = self._parse_headers(head)
        line = parse_request_start_line(text)
        absolute = _ABSOLUTE.fullmatch(line.path)
        if absolute:
            headers["Host"] = absolute["authority"]
            line = line._replace(path=(absolute["path"] or "/") + (absolute["query"] or ""))
        return line, headers

    async def _read_chunked_body(self, delegate: HTTPMessageDelegate) -> None:
        """All chunks. Extensions and trailers may be there and say nothing to us (RFC 9112, 7.1)."""
        pending = bytearray()

        async def deliver() -> None:
            data = bytes(pending)
            pending.clear()
            if data and not self._write_finished:
                await _handled(delegate.data_received(data))

        async def read(future: Awaitable[bytes]) -> bytes:
            """What *future* gives; before we wait for it, what has come goes on its way."""
            if not (isinstance(future, asyncio.Future) and future.done()):
                await deliver()
            return await future

        count = 0
        while left := _size_of(await read(self.stream.read_until(b"\r\n", max_bytes=_LONGEST_CHUNK_LINE))):
            while left:
                data = await read(self.stream.read_bytes(min(left, self.params.chunk_size), partial=True))
                left -= len(data)
                pending += data
                if len(pending) >= self.params.chunk_size:
                    await deliver()
            if await read(self.stream.read_bytes(2)) != b"\r\n":
                raise HTTPInputError("a chunk is longer or shorter than it says")
            count += 1
            if count % _CHUNKS == 0:
                await asyncio.sleep(0)
        room = _LONGEST_TRAILERS
        while (line := await read(self.stream.read_until(b"\r\n", max_bytes=_LONGEST_TRAILERS))) != b"\r\n":
            room -= len(line)
            if room < 0:
                raise HTTPInputError("the trailers are too long")
        await deliver()

    async def _refuse(self, refusal: Refusal, visitor: Visitor) -> None:
        """Answer, unless an answer has begun; then read what still comes, since a reset would undo the answer."""
        if self._response_start_line is None:
            log.warning("a request is refused", address=visitor.address, status=refusal.status, reason=refusal.reason)
            with suppress(StreamClosedError, TimeoutError):
                await self.stream.write(raw_answer(refusal.status, refusal.reason, refusal.headers))
                async with asyncio.timeout(LINGER_S):
                    while True:
                        await self.stream.read_bytes(LONGEST_HEAD, partial=True)
        self.close()


def _size_of(line: bytes) -> int:
    """The size that the *line* before a chunk says."""
    size = line.partition(b";")[0].strip(b" \t\r\n")
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
        raise HTTPInputError("the size of a chunk is no number")
    return int(size, 16)


async def _handled(act: Awaitable[None] | None) -> None:
    with _ExceptionLoggingContext(app_log):
        if act is not None:
            await act


class Visitor(HTTP1ServerConnection):
    """A connection, with what is known of its client."""

    def __init__(self, stream: IOStream, params: Any, context: Any, server: Server) -> None:
        super().__init__(stream, copy.copy(params), context)
        self.address: str = context.remote_ip
        self.since = time.monotonic()
        #: It has said who it is, and that was right.
        self.is_known = False
        self.is_served = False
        #: What it has sent a moment ago, as whom; and how that is forgotten.
        self.memory, self.memory_of = Memory(), ("", "")
        self.forget: Callable[[], object] = int
        self._timeout = params.header_timeout
        self.params.header_timeout = server.login_timeout
        self._timer = asyncio.get_running_loop().call_later(server.login_timeout, self._look)

    def greet(self) -> None:
        """It is known from now on, and may stay for as long as anybody."""
        self.is_known = True
        self.params.header_timeout = self._timeout
        self._timer.cancel()

    def leave(self) -> None:
        """End the connection, whatever it is about to say."""
        self._timer.cancel()
        self.stream.close()

    def _look(self) -> None:
        if self.is_served:  # its password is being looked at, or it reads an answer
            self._timer = asyncio.get_running_loop().call_later(1.0, self._look)
        else:
            self.leave()

    async def _server_request_loop(self, delegate: HTTPServerConnectionDelegate) -> None:
        try:
            goes_on = True
            while goes_on:
                connection = Connection(self.stream, False, self.params, self.context)
                connection.visitor = self
                request = delegate.start_request(self, connection)
                try:
                    goes_on = await connection.read_response(request)
                except (StreamClosedError, UnsatisfiableReadError, asyncio.CancelledError):
                    goes_on = False
                except Exception:
                    log.exception("a connection failed")
                    goes_on = False
                    connection.close()
                await asyncio.sleep(0)
        finally:
            self.leave()
            self.forget()
            delegate.on_close(self)


class Server(HTTPServer):
    """Turns away what is more than *most* connections, all in all or of one address; who is not known makes room."""

    most: int
    most_per_address: int
    login_timeout: float

    _connections: set[Visitor]  # type: ignore[assignment]

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        context = _HTTPRequestContext(stream, address, self.protocol, [])
        neighbours = [one for one in self._connections if one.address == context.remote_ip]
        has_room = self._has_room(neighbours, self.most_per_address) and self._has_room(self._connections, self.most)
        if has_room:
            visitor = Visitor(stream, self.conn_params, context, self)
            self._connections.add(visitor)
            visitor.start_serving(self)
            return
        log.warning("a client is turned away", address=context.remote_ip, max_connections=self.most)
        asyncio.get_running_loop().call_later(LINGER_S, stream.close)  # at the latest: it may never shake hands
        with suppress(StreamClosedError):
            refusal = later("there are too many connections")
            answer = raw_answer(refusal.status, refusal.reason, refusal.headers)
            stream.write(answer).add_done_callback(_look_at)

    def on_close(self, server_conn: object) -> None:
        self._connections.discard(server_conn)

    def _has_room(self, visitors: Collection[Visitor], most: int) -> bool:
        """Whether one more may join *visitors*; of those who are not known the first one makes room."""
        if len(visitors) < most:
            return True
        unknown = [one for one in visitors if not one.is_known]
        if unknown:
            first = min(unknown, key=lambda one: one.since)
            self._connections.discard(first)
            first.leave()
        return bool(unknown)


def _look_at(written: asyncio.Future[None]) -> None:
    written.exception()  # it has left before
