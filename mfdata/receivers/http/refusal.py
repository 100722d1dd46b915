"""Refusal: why a file cannot be taken, as HTTP says it."""

from __future__ import annotations

from collections.abc import Mapping

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
