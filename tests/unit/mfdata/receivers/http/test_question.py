"""What is answered to requests that bring no file."""

from __future__ import annotations

import pytest

from mfdata.receivers.ftp.received import Received
from mfdata.receivers.http.question import ALLOW, QUESTIONS, UPLOADS, answer_to, name_in
from mfdata.receivers.http.refusal import Refusal

SENT = Received(size=7, changed=0.0, until=0.0)


@pytest.mark.parametrize(
    ("method", "path", "received", "status", "part"),
    [
        ("OPTIONS", "*", None, 204, b""),
        ("OPTIONS", "/name", None, 204, b""),
        ("GET", "/", None, 200, b"<form"),
        ("HEAD", "/", None, 200, b"<form"),
        ("PROPFIND", "/", None, 207, b"<D:collection/>"),
        ("PROPFIND", "/name", SENT, 207, b"<D:getcontentlength>7</D:getcontentlength>"),
        ("PROPFIND", "/name", SENT, 207, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        ("PROPFIND", "/a%26b<c", SENT, 207, b"<D:href>/a%26b%3Cc</D:href>"),
    ],
)
def test_a_question_is_answered(method: str, path: str, received: Received | None, status: int, part: bytes) -> None:
    answer = answer_to(method, path, received)
    assert answer.status == status
    assert part in answer.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/name", 405),
        ("HEAD", "/name", 405),
        ("PROPFIND", "/name", 404),
        ("MKCOL", "/", 405),
        ("MKCOL", "/x/", 403),
    ],
)
def test_a_question_is_refused(method: str, path: str, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        answer_to(method, path, None)
    assert caught.value.status == status
    assert status != 405 or caught.value.headers == ALLOW


def test_all_that_is_known_is_allowed() -> None:
    assert ALLOW["Allow"].split(", ") == [*UPLOADS, *QUESTIONS]


def test_a_name_is_decoded_from_a_path() -> None:
    assert name_in("/na%C3%AFve%20file") == "naïve file"
    assert name_in("/invalid%FF") == "invalid\udcff"
