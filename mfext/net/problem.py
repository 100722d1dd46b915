"""Problem: a refusal as a client of HTTP gets it: a status, and JSON that says what is wrong (pure).

Source: RFC 9457.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


def problem_body(status: int, title: str, detail: str = "", type: str = "") -> bytes:  # noqa: A002  # RFC
    """The JSON of a refusal.

    Args:
        status: of the answer.
        title: what is wrong.
        detail: what is more to say.
        type: a URI that names the kind of problem; '' = the status says it.
    """
    members = {"type": type, "title": title, "status": status, "detail": detail}
    return json.dumps({name: value for name, value in members.items() if value != ""}).encode() + b"\n"


def raw_answer(status: int, title: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer for who writes to the connection itself, which ends after it."""
    body = problem_body(status, title)
    own = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in {**(headers or {}), **own}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
