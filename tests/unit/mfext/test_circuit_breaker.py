"""When a destination is left in peace, for how long, and who tries first."""

from __future__ import annotations

import pytest

from mfext.circuit_breaker import BreakerKeys, State, open_for

KEYS = BreakerKeys(breaker_failures=3, breaker_min_wait=5, breaker_max_wait=60)


def failed(state: State, now: float, *, probe: bool = False) -> State:
    return state.after_failure(KEYS, "away", now, probe=probe, epoch=1000 + now)


def test_it_opens_after_so_many_faults_in_a_row() -> None:
    state = State()
    for now in (1.0, 2.0):
        state = failed(state, now)
        assert state.left(KEYS, now) == 0
    state = failed(state, 3.0)
    assert (state.left(KEYS, 3.0), state.since, state.reason) == (5.0, 1003.0, "away")
    assert state.left(KEYS, 8.0) == 0


def test_a_try_that_had_begun_before_it_opened_changes_nothing() -> None:
    state = State(failures=3, openings=1, until=8.0)
    assert failed(state, 4.0) is state


def test_each_probe_that_fails_leaves_it_in_peace_for_longer() -> None:
    state = State(failures=3, openings=1, until=8.0, since=1003.0, is_probed=True)
    again = failed(state, 9.0, probe=True)
    assert (again.left(KEYS, 9.0), again.since, again.is_probed) == (10.0, 1003.0, False)


@pytest.mark.parametrize(("openings", "seconds"), [(1, 5), (2, 10), (4, 40), (5, 60), (10_000, 60)])
def test_the_time_doubles_up_to_the_longest(openings: int, seconds: float) -> None:
    assert open_for(openings, KEYS) == seconds


def test_a_time_that_is_longer_than_possible_is_from_before_the_machine_was_started() -> None:
    assert State(failures=3, openings=1, until=1e6).left(KEYS, 10.0) == 0


def test_the_longest_time_is_not_forgotten_when_rounding_makes_it_longer() -> None:
    for now in (number / 7 for number in range(1000)):
        assert State(failures=3, openings=9, until=now + 60).left(KEYS, now) == pytest.approx(60)
