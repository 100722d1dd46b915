from __future__ import annotations

import pytest

from mfserv.jobs.http.prefer import Preference, preference, retry_after_s


@pytest.mark.parametrize(
    ("values", "respond_async", "wait"),
    [
        ([], False, None),
        (["respond-async"], True, None),
        (["respond-async, wait=10"], True, 10),
        (["Respond-Async", "WAIT=5"], True, 5),
        (['wait="7"'], False, 7),
        (["wait = 3 ; foo=bar , respond-async"], True, 3),
        (['return=minimal; x="a, b", respond-async'], True, None),
        (["wait=1, wait=2"], False, 1),
        (["wait=-1"], False, None),
        (["wait=abc, respond-async"], True, None),
        (["wait=99999999999999"], False, None),
        ([",,, ;;"], False, None),
        (["x" * 10_000], False, None),
    ],
)
def test_a_preference_is_what_the_rfc_says(values: list[str], respond_async: bool, wait: int | None) -> None:
    assert preference(values) == Preference(respond_async, wait)


@pytest.mark.parametrize(
    ("asked", "is_async", "applied"),
    [
        (Preference(), True, ""),
        (Preference(True), True, "respond-async"),
        (Preference(True), False, ""),
        (Preference(True, 100), True, "respond-async, wait=30"),
        (Preference(True, 5), False, "wait=5"),
    ],
)
def test_what_is_applied_is_told(asked: Preference, is_async: bool, applied: str) -> None:
    assert asked.allowed(30.0).applied(is_async=is_async) == applied


def test_a_client_is_told_to_come_back_between_a_second_and_a_minute() -> None:
    assert [retry_after_s(position, 4) for position in (0, 4, 40, 100_000)] == [1, 1, 10, 60]
    assert retry_after_s(5, 0) == 5
