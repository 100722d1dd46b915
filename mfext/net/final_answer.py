"""Final answer: of what an HTTP server says to a request, the one answer that counts; interim ones are read over."""

from __future__ import annotations

import http.client
from http import HTTPStatus

#: A server that says more before it answers is not waited for any longer.
_MOST_INTERIM = 1000


class NotAnswered(http.client.HTTPException):
    """What came is no answer to the request."""


class FinalAnswer(http.client.HTTPResponse):
    """A response that is not 1xx: Python's own reads over 100 alone, and takes 102 or 103 for the answer.

    Set it as ``response_class`` of a connection.
    """

    def begin(self) -> None:
        """Read up to the header of the final answer.

        Raises:
            NotAnswered: the server speaks another protocol from now on, unasked, or never comes to its answer.
        """
        for _ in range(_MOST_INTERIM):
            super().begin()
            if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise NotAnswered("the server changes the protocol (101), which nobody asked for")
            if self.status >= HTTPStatus.OK:
                return
            self.headers = self.msg = None  # type: ignore[assignment]
        raise NotAnswered(f"the server said more than {_MOST_INTERIM} times that it will answer, and did not")
