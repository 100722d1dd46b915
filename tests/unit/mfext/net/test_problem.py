from __future__ import annotations

import http.client
import json
from io import BytesIO
from typing import Any, cast

import pytest

from mfext.net.problem import problem_body, raw_answer


class Connection:
    """A connection on which *data* came."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


@pytest.mark.parametrize(
    ("arguments", "members"),
    [
        ((404, "no"), {"title": "no", "status": 404}),
        ((404, "no", "more"), {"title": "no", "status": 404, "detail": "more"}),
        ((404, 'a "q"\n', "", "urn:x"), {"type": "urn:x", "title": 'a "q"\n', "status": 404}),
    ],
)
def test_a_problem_says_what_is_wrong(arguments: tuple[Any, ...], members: dict[str, object]) -> None:
    assert json.loads(problem_body(*arguments)) == members


@pytest.mark.parametrize("status", [400, 408, 413, 414, 431, 503, 507])
def test_a_raw_answer_is_read_by_a_client(status: int) -> None:
    answer = http.client.HTTPResponse(cast(Any, Connection(raw_answer(status, "é is wrong", {"Retry-After": "7"}))))
    answer.begin()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (answer.headers["Retry-After"], answer.headers["Connection"]) == ("7", "close")
    assert json.loads(answer.read())["title"] == "é is wrong"
