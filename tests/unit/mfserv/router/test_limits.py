from __future__ import annotations

import pytest

from mfserv.router.limits import Rate, lane, passing, rate


def test_a_rate_is_requests_in_a_period() -> None:
    assert rate("600/60s") == Rate(600, 60)
    assert rate("") is None


@pytest.mark.parametrize(("text", "wait"), [("600/60s", 61), ("1/10s", 20), ("5/10s", 12), ("100000/1s", 2)])
def test_who_waits_as_told_is_served(text: str, wait: int) -> None:
    found = rate(text)
    assert found is not None
    assert found.wait == wait


@pytest.mark.parametrize(
    ("places", "share", "of_lane"),
    [(8, 75, 6), (8, 100, 8), (8, 1, 1), (2, 75, 1), (2, 99, 1), (1, 50, 1), (100, 99, 99), (3, 75, 2)],
)
def test_a_lane_has_a_place_and_leaves_one(places: int, share: int, of_lane: int) -> None:
    assert lane(places, share) == of_lane


@pytest.mark.parametrize(("places", "spared"), [(1, 0), (3, 0), (4, 1), (32, 8)])
def test_slow_bodies_of_one_address_hold_a_quarter_of_the_places(places: int, spared: int) -> None:
    assert passing(places) == spared
