"""Final answers: what a server says before it answers is read over."""

from __future__ import annotations

import http.client
import io
import socket
from typing import cast

import pytest

from mfext.net.final_answer import FinalAnswer, NotAnswered


class Sock:
    """As much of a socket as a response wants."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._said)


def answer(said: bytes) -> FinalAnswer:
    made = FinalAnswer(cast(socket.socket, Sock(said)))
    made.begin()
    return made


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
LAST = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nmade"


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        EARLY,
        b"HTTP/1.1 199 Any\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + 3 * EARLY + b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_the_answer_is_what_comes_after_all_interim_ones(before: bytes) -> None:
    found = answer(before + LAST)
    assert (found.status, found.headers["Link"], found.read(), found.will_close) == (201, None, b"made", False)


def test_another_protocol_that_nobody_asked_for_is_no_answer() -> None:
    with pytest.raises(NotAnswered, match="101"):
        answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + LAST)


def test_a_server_that_never_comes_to_its_answer_is_given_up() -> None:
    with pytest.raises(NotAnswered, match="more than"):
        answer(EARLY * 1001 + LAST)


def test_an_end_after_an_interim_answer_is_an_end() -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        answer(EARLY)
