from __future__ import annotations

from dataclasses import replace

import pytest

from mfserv.jobs.http.job_filter import job_filter
from mfserv.jobs.http.problem import Problem
from mfserv.jobs.job import Job

#: Of 2026-01-31T12:00:00Z; it took ten seconds.
JOB = Job("id", "ann", "p", "POST", "/p", (), created=1769860800.0, started=1769860801.0, finished=1769860811.0)


def holds(job: Job = JOB, **query: str) -> bool:
    return job_filter(lambda name: [query[name]] if name in query else []).holds(job, JOB.created + 100)


@pytest.mark.parametrize(
    ("asked", "is_wanted"),
    [
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T13:00:00 01:00", True),
        ("2026-01-31T12:00:01Z", False),
        ("../2026-01-31T12:00:00Z", True),
        ("2026-01-31T12:00:01Z/..", False),
        ("2026-01-01T00:00:00Z/2026-02-01T00:00:00Z", True),
        ("2026-02-01T00:00:00Z/", False),
    ],
)
def test_jobs_are_chosen_by_the_time_of_their_creation(asked: str, is_wanted: bool) -> None:
    assert holds(datetime=asked) is is_wanted


def test_jobs_are_chosen_by_how_long_they_took() -> None:
    assert holds(minDuration="10", maxDuration="10")
    assert not holds(minDuration="11")
    assert not holds(maxDuration="9")
    assert holds(replace(JOB, finished=0.0), minDuration="99")
    assert not holds(replace(JOB, started=0.0), minDuration="1")


def test_every_job_is_of_one_type() -> None:
    assert holds(type="process")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("datetime", "yesterday"),
        ("datetime", "../.."),
        ("minDuration", "-1"),
        ("maxDuration", "1.5"),
        ("status", "no"),
        ("type", "x"),
    ],
)
def test_what_says_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(Problem) as refused:
        holds(JOB, **{name: value})
    assert refused.value.status == 400
