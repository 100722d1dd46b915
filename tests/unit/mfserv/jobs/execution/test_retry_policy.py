from __future__ import annotations

from typing import Any

import pytest

from mfserv.jobs.config import JobsConfig
from mfserv.jobs.execution.retry_policy import (
    Answered,
    BrokenOff,
    Fail,
    Hopeless,
    Keep,
    Outcome,
    Stopped,
    TryAgain,
    Unreachable,
    Verdict,
    verdict,
)
from mfserv.jobs.job import Job, Result

SETTINGS = JobsConfig(attempts=3, retry_min_wait=5.0, retry_max_wait=60.0, give_up_after=1000.0)


def decided(outcome: Outcome, attempts: int = 1, age: float = 0.0) -> Verdict:
    job = Job(id="j", client="", process="p", method="POST", uri="/", headers=(), created=0.0, attempts=attempts)
    return verdict(job, outcome, age, SETTINGS)


def answered(status: int, retry_after: float = 0.0) -> Answered:
    return Answered(Result(status, (), "", 0), b"", retry_after)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 422, 500, 501])
def test_an_answer_is_the_result(status: int) -> None:
    assert decided(answered(status)) == Keep(answered(status).result)


@pytest.mark.parametrize("status", [408, 502, 504])
def test_an_answer_that_says_that_the_service_had_not_the_whole_request_is_tried_again(status: int) -> None:
    assert decided(answered(status)) == TryAgain(f"the service answered {status}", 5.0, counts=True)


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [(1, 5.0), (2, 10.0)],
)
def test_a_gateway_error_is_tried_again_with_growing_waits(attempts: int, expected: float) -> None:
    assert decided(answered(502), attempts) == TryAgain("the service answered 502", expected, counts=True)


def test_the_last_gateway_error_is_the_result() -> None:
    assert decided(answered(504), 3) == Keep(answered(504).result)


def test_the_wait_has_a_limit() -> None:
    settings = JobsConfig(attempts=1000, retry_min_wait=5.0, retry_max_wait=60.0)
    job = Job(id="j", client="", process="p", method="GET", uri="/", headers=(), created=0.0, attempts=900)
    assert verdict(job, BrokenOff("x"), 0, settings) == TryAgain("x", 60.0, counts=True)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(0.0, 5.0), (20.0, 20.0), (4000.0, 60.0)],
)
def test_a_busy_service_is_asked_when_it_says(retry_after: float, wait: float) -> None:
    assert decided(answered(503, retry_after), 3) == TryAgain("the service answered 503", wait, counts=False)


def test_nobody_waits_for_ever_for_a_busy_service() -> None:
    assert isinstance(decided(answered(429), age=1001.0), Fail)
    assert isinstance(decided(Unreachable("away"), age=1001.0), Fail)
    assert decided(Unreachable("away"), 3) == TryAgain("away", 5.0, counts=False)


@pytest.mark.parametrize(
    ("outcome", "attempts", "expected"),
    [
        (BrokenOff("x"), 3, Fail("x, at the last of 3 attempts")),
        (Hopeless("too large"), 1, Fail("too large")),
        (Stopped(), 3, TryAgain("the runner was stopped", 0, counts=False)),
    ],
)
def test_other_ends(outcome: Any, attempts: int, expected: Verdict) -> None:
    assert decided(outcome, attempts) == expected
