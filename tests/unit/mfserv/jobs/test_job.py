from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mfserv.jobs.job import Job, Result, Status, answered, claimed, dismissed, given_back, lapsed, new_id

JOB = Job(id="j", client="c", process="p", method="GET", uri="/", headers=(), created=1.0)
TEXT = st.text(max_size=20)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)


@given(
    TEXT,
    PAIRS,
    st.none() | st.builds(Result, st.integers(100, 599), PAIRS, TEXT, st.integers(0)),
    st.sampled_from(Status),
)
def test_a_job_is_the_same_after_it_was_text(
    client: str, headers: tuple[tuple[str, str], ...], result: Result | None, status: Status
) -> None:
    job = replace(JOB, client=client, headers=headers, result=result, status=status)
    assert Job.from_json(job.to_json()) == job


def test_names_cannot_be_guessed_and_are_safe_in_paths() -> None:
    names = {new_id() for _ in range(1000)}
    assert len(names) == 1000
    assert all(len(name) == 24 and name.replace("-", "").replace("_", "").isalnum() for name in names)


def test_a_job_is_not_claimed_before_it_is_due() -> None:
    waiting = replace(JOB, due=10.0)
    assert claimed(waiting, "w", 9.9, 30) is None
    taken = claimed(waiting, "w", 10.0, 30)
    assert taken is not None
    assert (taken.lease, taken.attempts, taken.started) == (40.0, 1, 10.0)
    assert claimed(taken, "w", 11.0, 30) is None


def test_a_job_whose_wait_a_clock_declared_that_was_ahead_is_due() -> None:
    waiting = replace(JOB, due=10_810.0, updated=10_800.0)
    assert claimed(waiting, "w", 10_801.0, 30) is None
    assert claimed(waiting, "w", 2.0, 30) is not None


def test_a_job_started_when_it_was_first_claimed() -> None:
    taken = claimed(JOB, "w", 10.0, 30)
    assert taken is not None
    back = given_back(taken, taken.token, 20.0, "broke off", 5.0, counts=True)
    assert back is not None
    assert (back.due, back.message, back.worker, back.token) == (25.0, "broke off", "", "")
    again = claimed(back, "w", 25.0, 30)
    assert again is not None
    assert (again.started, again.attempts) == (10.0, 2)
    assert again.token != taken.token


def test_an_end_is_final() -> None:
    taken = claimed(JOB, "w", 10.0, 30)
    assert taken is not None
    done = answered(taken, taken.token, 20.0, Result(200, (), "", 0))
    assert done is not None
    assert answered(done, taken.token, 21.0, Result(500, (), "", 0)) is None
    assert given_back(done, taken.token, 21.0, "x", 0, counts=True) is None
    assert lapsed(done, 1e9, 3) is None
    gone = dismissed(done, 30.0)
    assert (gone.status, gone.result, gone.expires) == (Status.DISMISSED, None, 30.0 + JOB.ttl)
    assert dismissed(gone, 40.0) is gone
