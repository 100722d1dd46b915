"""Clock: ages by a clock that may have been set back."""

from __future__ import annotations

import pytest

from mfext.clock import age, is_from_the_future, is_older


@pytest.mark.parametrize(("since", "expected"), [(90.0, 10.0), (100.0, 0.0), (10_900.0, 0.0)])
def test_an_age_is_never_negative(since: float, expected: float) -> None:
    assert age(since, 100.0) == expected


@pytest.mark.parametrize(
    ("since", "older", "future"),
    [(39.0, True, False), (41.0, False, False), (100.5, False, False), (10_900.0, True, True)],
)
def test_what_a_clock_wrote_that_was_ahead_may_be_of_any_age(since: float, older: bool, future: bool) -> None:
    assert is_older(since, 60.0, 100.0) is older
    assert is_from_the_future(since, 100.0) is future
