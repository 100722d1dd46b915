"""HTTP session: a connection to a server that is kept, and one request with a file as its body."""

from __future__ import annotations

import http.client
import os
import select
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult

from mfext.net.final_answer import FinalAnswer

#: Everything that HTTP and what is below it can raise.
FAULTS = (http.client.HTTPException, OSError)
#: As much of an answer is read; a server that says more loses the connection.
_LONGEST_ANSWER = 65_536
_BLOCK = 256 * 1024
#: What a server says when nothing was asked for a while, or when it did not understand what it read.
_OF_NO_REQUEST = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.BAD_REQUEST)


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    reason: str
    headers: Mapping[str, str]
    #: The beginning of what it said at length.
    text: str


class HttpSession:
    """A connection to one server. Everything may raise one of ``FAULTS``."""

    def __init__(self, place: SplitResult, context: ssl.SSLContext | None, timeout: float) -> None:
        host = place.hostname or ""
        if context is None:
            self._connection = http.client.HTTPConnection(host, place.port or 80, timeout, blocksize=_BLOCK)
        else:
            self._connection = http.client.HTTPSConnection(
                host, place.port or 443, timeout=timeout, context=context, blocksize=_BLOCK
            )
        self._connection.response_class = FinalAnswer
        self._is_used = False

    def is_fresh(self) -> bool:
        """Whether the server has not ended it meanwhile: one that says something unasked has."""
        return self._connection.sock is not None and not self._has_said_something()

    def send(self, method: str, target: str, headers: Mapping[str, str], path: Path) -> Answer:
        """Send the file at *path* as the body of a request, and give the answer.

        The connection lives on only where no other answer can be under way in it: after a success that came when
        all of the file was sent.
        """
        was_used, self._is_used = self._is_used, True
        try:
            answer, is_early = self._exchange(method, target, headers, path)
        except BaseException:
            self.close()
            raise
        if was_used and answer.status in _OF_NO_REQUEST:
            # It may speak of the time, or of the bytes, before this request, and have crossed it on the way.
            self.close()
            raise http.client.RemoteDisconnected(f"the server ended the idle connection: {answer.status}")
        if is_early or not 200 <= answer.status < 300:
            self.close()
        return answer

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], path: Path) -> tuple[Answer, bool]:
        """The answer, and whether it came before all was sent."""
        connection = self._connection
        with open(path, "rb") as body:
            if connection.sock is None:
                connection.connect()
            connection.putrequest(method, target)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(os.fstat(body.fileno()).st_size))
            try:
                connection.endheaders()
                is_early = self._send_body(body)
            except OSError:
                # A server that refuses need not take all of the file: it may have said why. One that says that it has
                # it cannot have all of it.
                if self._has_said_something():
                    with suppress(*FAULTS):
                        answer = self._answer()
                        if not 200 <= answer.status < 300:
                            return answer, True
                raise
        return self._answer(), is_early

    def _send_body(self, body: BinaryIO) -> bool:
        """Send all of *body*; whether the server said something before its end."""
        is_early = False
        while block := body.read(_BLOCK):
            is_early = is_early or self._has_said_something()
            self._connection.send(block)
        return is_early

    def _has_said_something(self) -> bool:
        sock = self._connection.sock
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def _answer(self) -> Answer:
        response = self._connection.getresponse()
        text = b""
        try:
            text = response.read(_LONGEST_ANSWER)
            if response.read(1) or not response.isclosed():
                self.close()
        except FAULTS:
            # What it decided is known: that its words break off changes nothing in that.
            self.close()
        return Answer(response.status, response.reason, dict(response.headers), text.decode("utf-8", "replace"))

    def close(self, *, politely: bool = True) -> None:
        """End the connection."""
        self._connection.close()
