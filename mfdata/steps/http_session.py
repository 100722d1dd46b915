"""HTTP session: a connection to a server that is kept, and one request with a file as its body."""

from __future__ import annotations

import http.client
import select
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult

#: Everything that HTTP and what is below it can raise.
FAULTS = (http.client.HTTPException, OSError)
#: As much of an answer is read; a server that says more loses the connection.
_LONGEST_ANSWER = 65_536
_BLOCK = 256 * 1024


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

    def is_fresh(self) -> bool:
        """Whether the server has not ended it meanwhile: one that says something unasked has."""
        sock = self._connection.sock
        if sock is None:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)

    def send(self, method: str, target: str, headers: Mapping[str, str], path: Path) -> Answer:
        """Send the file at *path* as the body of a request, and give the answer."""
        with open(path, "rb") as body:
            length = {"Content-Length": str(path.stat().st_size)}
            try:
                self._connection.request(method, target, body, {**headers, **length})
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses need not take all of the file: it may have said why.
                with suppress(*FAULTS):
                    return self._answer()
                raise
            return self._answer()

    def _answer(self) -> Answer:
        response = self._connection.getresponse()
        text = response.read(_LONGEST_ANSWER)
        if response.read(1) or not response.isclosed():
            self.close()
        return Answer(response.status, response.reason, dict(response.headers), text.decode("utf-8", "replace"))

    def close(self, *, politely: bool = True) -> None:
        """End the connection."""
        self._connection.close()
