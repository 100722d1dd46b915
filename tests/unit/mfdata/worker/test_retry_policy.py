from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

import mfdata
from mfdata.config import StepConfig
from mfdata.outcome import Done, Expired, Failed, Hold, Outcome, Output, Retry
from mfdata.worker.retry_policy import Delay, Divert, Drop, HandOver, Keep, decide, next_wait, policy_of

USUAL = policy_of(StepConfig())
RETRYING = replace(USUAL, retry_total=2, retry_min_wait=1, retry_max_wait=10, retry_backoff=2)


def test_nothing_returned_means_done() -> None:
    assert decide(None, 0, USUAL, 0) == HandOver(Done())


def test_done_is_handed_over() -> None:
    assert decide(Done(to="a/main"), 3, USUAL, 0) == HandOver(Done(to="a/main"))


@pytest.mark.parametrize("output", ["archive/main", b"x.txt", None])
def test_what_is_no_path_is_no_output(output: object) -> None:
    with pytest.raises(TypeError, match=r"an output is a Path, .* found .*; steps are named by to="):
        Done(output)  # type: ignore[arg-type]


@pytest.mark.parametrize("tags", [{"a.b": "text"}, {"a.b": 5}, {b"a.b": b"x"}])
def test_tags_that_could_not_be_kept_are_refused_where_they_are_made(tags: dict[str, bytes]) -> None:
    with pytest.raises(TypeError, match=r"tags are bytes by name; found .*a\.b"):
        Done(tags=tags)


@pytest.mark.parametrize(
    ("outcome", "attempts", "expected"),
    [
        (Failed("no"), 0, Delay(3.0, 1, "no")),
        (Failed("no"), 1, Delay(5.0, 2, "no")),
        (Failed("no"), 2, Keep("failed", "no (after 3 tries)")),
        (Failed("no", permanent=True), 0, Keep("failed", "no")),
        (Retry("later"), 0, Delay(3.0, 1, "later")),
        (Retry("later", after=60), 0, Delay(60, 1, "later")),
        (Retry("later", after=60), 2, Keep("failed", "later (after 3 tries)")),
        (Failed("bad rule", permanent=True, kind="rule_error"), 0, Keep("rule_error", "bad rule")),
    ],
)
def test_failures_meet_the_retry_policy(outcome: Failed | Retry, attempts: int, expected: object) -> None:
    assert decide(outcome, attempts, RETRYING, 0) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("quarantine", Keep("failed", "no", "stack")),
        ("delete", Drop("no")),
        ("move:other/main", Divert("other/main", "no")),
    ],
)
def test_the_failure_policy_decides_in_the_end(policy: str, expected: object) -> None:
    assert decide(Failed("no", traceback="stack"), 0, replace(USUAL, failure_policy=policy), 0) == expected


@pytest.mark.parametrize("policy", ["delete", "move:other/main"])
def test_a_broken_rule_is_quarantined_whatever_the_failure_policy_says(policy: str) -> None:
    outcome = Failed("raises", permanent=True, kind="rule_error")
    assert decide(outcome, 0, replace(USUAL, failure_policy=policy), 0) == Keep("rule_error", "raises")


@pytest.mark.parametrize("attempts", [0, 7])
def test_a_try_that_does_not_count_uses_up_nothing(attempts: int) -> None:
    assert decide(Retry("away", after=60, counts=False), attempts, RETRYING, 0) == Delay(60, attempts, "away")
    assert decide(Retry("away", counts=False), 0, replace(USUAL, retry_min_wait=7), 0) == Delay(7, 0, "away")


@pytest.mark.parametrize("outcome", [Hold("away", 5), Expired("deadline", "too late")])
def test_a_file_that_was_not_tried_meets_no_policy(outcome: Hold | Expired) -> None:
    assert decide(outcome, 3, replace(USUAL, failure_policy="delete"), 0) is outcome


def test_waits_grow_up_to_the_longest() -> None:
    assert [next_wait(attempt, RETRYING) for attempt in range(1, 6)] == [3, 5, 9, 10, 10]
    assert next_wait(10_000, RETRYING) == 10


def test_jitter_lengthens_a_wait_by_a_quarter_at_most() -> None:
    assert decide(Failed("no"), 0, RETRYING, 1.0) == Delay(3.75, 1, "no")


def test_one_destination_is_as_good_as_a_list_of_one() -> None:
    assert Done(Path("x"), to="a/main").to == Done(Path("x"), to=["a/main"]).to == ("a/main",)


def test_outputs_may_be_plain_paths_or_say_where_they_go(tmp_path: object) -> None:

    done = Done(Path("a"), Output(Path("b"), ("x/main",)), to="y/main")
    assert [output.to for output in done.outputs] == [(), ("x/main",)]


def test_a_step_may_say_every_outcome_by_a_name_that_authors_import() -> None:
    assert {kind.__name__ for kind in get_args(Outcome)} <= set(mfdata.__all__)
