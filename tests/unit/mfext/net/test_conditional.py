from __future__ import annotations

import pytest

from mfext.net.conditional import FAILED, GO_ON, NOT_MODIFIED, NotSatisfiable, Version, asked_part, http_date, verdict

THEN, LATER, EARLIER = (f"Sun, 06 Nov 1994 08:49:{second} GMT" for second in (37, 38, 36))
AT = 784111777
STRONG, WEAK, NO_DATE, NOTHING = Version('"a,b"', AT), Version('W/"a,b"', AT), Version('"a,b"'), Version()


@pytest.mark.parametrize("text", [THEN, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", f" {THEN} "])
def test_a_date_has_one_of_three_forms(text: str) -> None:
    assert http_date(text) == AT


@pytest.mark.parametrize(
    "text", [None, "", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37 +0100", "Sun, 99 Xxx 1994 08:49:37 GMT"]
)
def test_what_is_no_date_says_nothing(text: str | None) -> None:
    assert http_date(text) is None


@pytest.mark.parametrize(
    ("version", "headers", "expected"),
    [
        (STRONG, {}, GO_ON),
        (STRONG, {"If-Match": "*"}, GO_ON),
        (STRONG, {"If-Match": '"a,b"'}, GO_ON),
        (STRONG, {"If-Match": '"x", "a,b"'}, GO_ON),
        (STRONG, {"If-Match": '"other"'}, FAILED),
        (STRONG, {"If-Match": 'W/"a,b"'}, FAILED),
        (WEAK, {"If-Match": 'W/"a,b"'}, FAILED),
        (WEAK, {"If-Match": "*"}, GO_ON),
        (NOTHING, {"If-Match": '"a,b"'}, FAILED),
        (STRONG, {"If-Match": "a,b"}, FAILED),
        (STRONG, {"If-Unmodified-Since": THEN}, GO_ON),
        (STRONG, {"If-Unmodified-Since": EARLIER}, FAILED),
        (STRONG, {"If-Unmodified-Since": "yesterday"}, GO_ON),
        (NO_DATE, {"If-Unmodified-Since": EARLIER}, GO_ON),
        (STRONG, {"If-Match": '"a,b"', "If-Unmodified-Since": EARLIER}, GO_ON),
        (STRONG, {"If-None-Match": '"a,b"'}, NOT_MODIFIED),
        (STRONG, {"If-None-Match": 'W/"a,b"'}, NOT_MODIFIED),
        (WEAK, {"If-None-Match": '"x","a,b"'}, NOT_MODIFIED),
        (STRONG, {"If-None-Match": "*"}, NOT_MODIFIED),
        (STRONG, {"If-None-Match": '"other"'}, GO_ON),
        (STRONG, {"If-Modified-Since": THEN}, NOT_MODIFIED),
        (STRONG, {"If-Modified-Since": LATER}, NOT_MODIFIED),
        (STRONG, {"If-Modified-Since": EARLIER}, GO_ON),
        (STRONG, {"If-Modified-Since": "yesterday"}, GO_ON),
        (NO_DATE, {"If-Modified-Since": THEN}, GO_ON),
        (STRONG, {"If-None-Match": '"other"', "If-Modified-Since": LATER}, GO_ON),
        (STRONG, {"If-None-Match": '"a,b"', "If-Modified-Since": EARLIER}, NOT_MODIFIED),
        (STRONG, {"If-Match": '"other"', "If-None-Match": '"a,b"'}, FAILED),
        (STRONG, {"If-Match": '"a,b"', "If-None-Match": '"a,b"'}, NOT_MODIFIED),
    ],
)
def test_conditions_hold_in_the_order_of_the_standard(version: Version, headers: dict[str, str], expected: int) -> None:
    assert verdict("GET", headers, version) == expected
    assert verdict("HEAD", headers, version) == expected


def test_who_writes_hears_that_a_condition_does_not_hold() -> None:
    assert verdict("PUT", {"If-None-Match": "*"}, STRONG) == FAILED
    assert verdict("PUT", {"If-Modified-Since": THEN}, STRONG) == GO_ON


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=2-4", (2, 4)),
        ("Bytes = 2 - 4", (2, 4)),
        ("bytes=7-", (7, 9)),
        ("bytes=-2", (8, 9)),
        ("bytes=-20", (0, 9)),
        ("bytes=5-99", (5, 9)),
        ("bytes=5-2", None),
        ("bytes=1-2,4-5", None),
        ("lines=1-2", None),
        ("bytes=-", None),
        ("", None),
    ],
)
def test_one_part_may_be_asked_for(asked: str, part: tuple[int, int] | None) -> None:
    assert asked_part("GET", {"Range": asked}, STRONG, 10, AT + 100) == part
    assert asked_part("HEAD", {"Range": asked}, STRONG, 10, AT + 100) is None


@pytest.mark.parametrize(("asked", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_what_is_not_there_cannot_be_sent(asked: str, size: int) -> None:
    with pytest.raises(NotSatisfiable):
        asked_part("GET", {"Range": asked}, STRONG, size, AT)


@pytest.mark.parametrize(
    ("version", "condition", "now", "holds"),
    [
        (STRONG, '"a,b"', AT, True),
        (STRONG, 'W/"a,b"', AT, False),
        (WEAK, 'W/"a,b"', AT, False),
        (STRONG, '"other"', AT, False),
        (STRONG, THEN, AT + 100, True),
        (STRONG, THEN, AT, False),
        (STRONG, LATER, AT + 100, False),
        (NO_DATE, THEN, AT + 100, False),
        (STRONG, "what?", AT, False),
    ],
)
def test_a_part_is_sent_only_of_what_the_client_has(version: Version, condition: str, now: float, holds: bool) -> None:
    part = asked_part("GET", {"Range": "bytes=2-4", "If-Range": condition}, version, 10, now)
    assert part == ((2, 4) if holds else None)
