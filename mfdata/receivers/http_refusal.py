"""Refusal: why a file cannot be taken, as HTTP says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mfdata.receivers.upload import TooLarge
from mfext.disk import is_no_room

#: Seconds after which a client may look whether files are taken again.
RETRY_AFTER = 30


class Refusal(Exception):
    """What is answered instead of taking a file."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


def problem(status: int, reason: str) -> dict[str, Any]:
    """A refusal as RFC 9457 writes it."""
    return {"status": status, "title": reason}


def raw_answer(refusal: Refusal) -> bytes:
    """An answer to what is no request yet; the connection ends after it."""
    body = json.dumps(problem(refusal.status, refusal.reason)).encode() + b"\n"
    headers = {
        **refusal.headers,
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def later(reason: str, seconds: int = RETRY_AFTER, status: int = 503) -> Refusal:
    """Nothing is wrong with the file: come again."""
    return Refusal(status, reason, {"Retry-After": str(seconds)})


def refusal_for(error: OSError) -> Refusal:
    """What a client is told when a file cannot be written."""
    if isinstance(error, TooLarge):
        return Refusal(413, f"the file is {error.strerror}")
    if is_no_room(error):
        return later("there is no room left", status=507)
    return Refusal(500, f"the file cannot be kept: {error.strerror or 'unknown fault'}")
