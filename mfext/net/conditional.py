"""Conditional: whether a client wants what there is, or a part of it (RFC 9110 §13 and §14; pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

#: The status of an answer to a condition that does not hold; 0 = go on.
GO_ON, NOT_MODIFIED, FAILED = 0, 304, 412
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*"')
_DAY, _MONTH, _TIME = r"[A-Z][a-z]{2}", r"[A-Z][a-z]{2}", r"\d\d:\d\d:\d\d"
_DATE = re.compile(
    rf"{_DAY}, \d\d {_MONTH} \d{{4}} {_TIME} GMT|[A-Z][a-z]+day, \d\d-{_MONTH}-\d\d {_TIME} GMT"
    rf"|{_DAY} {_MONTH} [ \d]\d {_TIME} \d{{4}}"
)
_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE)
#: Seconds for which a file must have been as it is for its date to tell it from another one.
_SURE = 1.0


@dataclass(frozen=True)
class Version:
    """What tells one state of something from another."""

    #: With its quotes, and W/ where it is weak; '' = there is none.
    etag: str = ""
    #: Whole seconds since 1970; None = not known.
    modified: int | None = None


class NotSatisfiable(ValueError):
    """There is no such part."""


def verdict(method: str, headers: Mapping[str, str], version: Version) -> int:
    """GO_ON, NOT_MODIFIED or FAILED for a request of something that is there; in the order of §13.2.2.

    Args:
        method: of the request.
        headers: of the request; names in any case, lines of one name joined by commas.
        version: what there is now.
    """
    reads = method in ("GET", "HEAD")
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    if match is not None:
        if not _is_named(match, version.etag, is_strong=True):
            return FAILED
    elif _is_newer(version, headers.get("If-Unmodified-Since")):
        return FAILED
    if none_match is not None:
        if _is_named(none_match, version.etag, is_strong=False):
            return NOT_MODIFIED if reads else FAILED
    elif reads and _is_newer(version, headers.get("If-Modified-Since")) is False:
        return NOT_MODIFIED
    return GO_ON


def asked_part(
    method: str, headers: Mapping[str, str], version: Version, size: int, now: float
) -> tuple[int, int] | None:
    """First and last byte of the part to send; None = all of it, whatever else was asked for.

    Raises:
        NotSatisfiable: nothing of *size* bytes has this part.
    """
    match = _RANGE.fullmatch(headers.get("Range", "").strip())
    if method != "GET" or not match or match.groups() == ("", ""):
        return None
    if not range_holds(headers.get("If-Range"), version, now):
        return None
    begin, end = match.groups()
    if not begin:
        if not int(end):
            raise NotSatisfiable
        return (max(0, size - int(end)), size - 1) if size else None
    first, last = int(begin), int(end) if end else size - 1
    if end and last < first:
        return None
    if first >= size:
        raise NotSatisfiable
    return first, min(last, size - 1)


def range_holds(condition: str | None, version: Version, now: float) -> bool:
    """Whether a part still fits to what the client has, by what ``If-Range`` says."""
    if condition is None:
        return True
    condition = condition.strip()
    if _TAG.fullmatch(condition):
        return condition == version.etag and not condition.startswith("W/")
    date = http_date(condition)
    return date is not None and date == version.modified and now - date >= _SURE


def http_date(text: str | None) -> int | None:
    """Seconds since 1970 of a date in one of the three forms of HTTP; None = it is none."""
    found = parsedate_tz(text.strip()) if text and _DATE.fullmatch(text.strip()) else None
    try:
        return mktime_tz(found) if found else None
    except (ValueError, OverflowError):
        return None


def _is_newer(version: Version, since: str | None) -> bool | None:
    """Whether it has changed since that date; None = nobody can tell."""
    date = http_date(since)
    return None if date is None or version.modified is None else version.modified > date


def _is_named(tags: str, etag: str, *, is_strong: bool) -> bool:
    """Whether the list of *tags* has *etag*."""
    if tags.strip() == "*":
        return True
    if not etag or (is_strong and etag.startswith("W/")):
        return False
    named = _TAG.findall(tags)
    return etag in named if is_strong else etag.removeprefix("W/") in [one.removeprefix("W/") for one in named]
