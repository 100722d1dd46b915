from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mfserv.jobs.job import Job, Status
from mfserv.jobs.metrics import exposition
from mfserv.jobs.tally import Tally, counted, totals

PAGE = Path(__file__).parents[4] / "docs" / "howto" / "answer_later.md"
JOB = Job("id", "ann", "p", "POST", "/p", (), created=100.0)
RUNNING = replace(JOB, status=Status.RUNNING, started=103.0)
DONE = replace(RUNNING, status=Status.SUCCESSFUL, finished=103.2)


def test_what_happens_to_a_job_is_counted_once() -> None:
    assert counted(None, JOB) == {"submitted": 1}
    assert counted(JOB, RUNNING) == {"waited_ms": 3000, "waited_4": 1}
    assert counted(RUNNING, replace(RUNNING, progress=4)) == {}
    assert counted(RUNNING, replace(JOB, started=103.0)) == {"again": 1}
    assert counted(replace(JOB, started=103.0), RUNNING) == {}
    assert counted(RUNNING, DONE) == {"successful": 1, "took_ms": 200, "took_2": 1}
    assert counted(DONE, replace(DONE, status=Status.DISMISSED)) == {}
    assert counted(JOB, replace(JOB, status=Status.DISMISSED)) == {"dismissed": 1}


def test_the_time_that_an_operator_took_is_not_waited() -> None:
    assert counted(replace(JOB, renewed=900.0), replace(RUNNING, started=901.0, renewed=900.0))["waited_ms"] == 1000


def test_submitted_is_the_sum_of_all_others() -> None:
    tallies = {
        "p": Tally({Status.ACCEPTED: 2, Status.FAILED: 1}, 1.0, {"submitted": 5, "expired": 2}),
        "q": Tally({Status.RUNNING: 1}, 0.0, {"submitted": 1}),
    }
    counts = totals(tallies)
    assert counts.pop("submitted") == sum(counts.values()) == 6


def test_prometheus_reads_it() -> None:
    ever = {"submitted": 3, "successful": 2, "took_0": 1, "took_2": 1, "took_ms": 240}
    lines = exposition({'a"b': Tally({Status.ACCEPTED: 1}, 90.0, ever)}, now=100.0).splitlines()
    assert r'metwork_jobs_accepted_total{process="a\"b"} 3' in lines
    assert r'metwork_jobs_oldest_waiting_seconds{process="a\"b"} 10.000' in lines
    buckets = [line.rpartition(" ")[2] for line in lines if line.startswith("metwork_job_duration_seconds_bucket")]
    assert buckets == ["1", "1", *["2"] * 11]
    assert r'metwork_job_duration_seconds_sum{process="a\"b"} 0.24' in lines
    assert lines.count("# TYPE metwork_job_duration_seconds histogram") == 1


def test_every_metric_is_documented() -> None:
    names = re.findall("^# TYPE ([a-z_]+) ", exposition({}, now=0.0), flags=re.MULTILINE)
    assert len(names) == 11
    assert [name for name in names if f"`{name}`" not in PAGE.read_text("utf-8")] == []
