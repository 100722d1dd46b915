from __future__ import annotations

from pathlib import Path

import pytest

from mfext.metrics.instrument import Counts, Instruments, read_counts
from mfserv.current_metrics import job_samples, request_samples
from mfserv.jobs.counts import JobCounts
from mfserv.jobs.job import Status
from mfserv.router.metrics import METRICS, count_requests


def line(status: int, took: int, route: str = "/hello", app: str = "hello.main", agent: str = "") -> bytes:
    return (
        f'{{"id":"x","client":"c","class":"batch","app":"{app}","route":"{route}","status":{status},'
        f'"total_ms":{took},"server":"s0","agent":"{agent}"}}\n'
    ).encode()


def counted(folder: Path, lines: bytes) -> Counts:
    instruments = Instruments(folder)
    count_requests(instruments, lines)
    return read_counts(folder)


def test_requests_are_counted_by_route_class_and_status(tmp_path: Path) -> None:
    lines = line(200, 3) * 5 + line(503, 0) + b"not of the access log\n" + line(404, 0, app="-", route="-")
    counts = counted(tmp_path, lines + line(201, 0, app="whole.main", route="-"))
    requests = {key[1:]: values[0] for key, values in counts.items() if key[0] == "metwork_requests_total"}
    assert requests == {
        ("hello.main", "/hello", "batch", "200"): 5,
        ("hello.main", "/hello", "batch", "503"): 1,
        ("", "", "batch", "404"): 1,
        ("whole.main", "/", "batch", "201"): 1,
    }


def test_the_histogram_adds_up(tmp_path: Path) -> None:
    lines = {0: 50, 1: 1, 5: 1, 6: 45, 999: 2, 70_000: 1}
    counts = counted(tmp_path, b"".join(line(200, took) * number for took, number in lines.items()))
    *buckets, total = counts["metwork_request_seconds", "hello.main", "/hello", "batch"]
    # Up to 1, 5, 10 and 1,000 ms, and above a minute.
    assert [buckets[number] for number in (0, 2, 3, 9, -1)] == [51, 1, 45, 2, 1]
    assert sum(buckets) == 100
    assert total == pytest.approx(0.006 + 0.27 + 1.998 + 70)


def test_a_client_cannot_make_lines_up(tmp_path: Path) -> None:
    forged = r"\",\"class\":\"x\",\"app\":\"y\",\"route\":\"z\",\"status\":200,\"total_ms\":1,"
    counts = counted(tmp_path, line(200, 1, agent=forged))
    assert [key for key in counts if key[0] == "metwork_requests_total"] == [
        ("metwork_requests_total", "hello.main", "/hello", "batch", "200")
    ]


def test_what_waits_is_told_by_class() -> None:
    def row(name: str, waits: str) -> dict[str, str]:
        return {"pxname": name, "svname": "BACKEND", "qcur": waits, "scur": "4", "act": "2"}

    rows = [row("app.a.main", "3"), row("lane.batch.a.main", "7"), row("health", "9")]
    found = {(one.metric.name, *one.labels): one.values for one in request_samples(rows)}
    assert found == {
        ("metwork_requests_waiting", "a.main", "workers"): (3.0,),
        ("metwork_requests_waiting", "a.main", "batch"): (7.0,),
        ("metwork_requests_in_hand", "a.main"): (4.0,),
        ("metwork_app_workers", "a.main"): (2.0,),
    }


def test_jobs_are_told_by_process() -> None:
    ever = {"submitted": 9, "successful": 5, "again": 2, "took_0": 4, "took_12": 1, "took_ms": 2500}
    tally = JobCounts({Status.ACCEPTED: 3, Status.RUNNING: 1}, 100.0, ever)
    found = {one.metric.name: one.values for one in job_samples({"a": tally}, now=130.0) if one.labels == ("a",)}
    assert found["metwork_jobs_accepted_total"] == (9.0,)
    assert found["metwork_jobs_finished_total"] == (5.0,)
    assert found["metwork_jobs_failed_total"] == (0.0,)
    assert found["metwork_jobs_given_back_total"] == (2.0,)
    assert (found["metwork_jobs_waiting"], found["metwork_jobs_running"]) == ((3.0,), (1.0,))
    assert found["metwork_jobs_oldest_waiting_seconds"] == (30.0,)
    assert found["metwork_job_duration_seconds"] == (4.0, *[0.0] * 11, 1.0, 2.5)


def test_a_store_whose_clock_went_back_tells_no_negative_age() -> None:
    found = {one.metric.name: one.values for one in job_samples({"a": JobCounts({}, 100.0, {})}, now=50.0)}
    assert found["metwork_jobs_oldest_waiting_seconds"] == (0.0,)


def test_every_metric_of_requests_is_on_the_page_that_tells_of_them() -> None:
    page = (Path(__file__).parents[4] / "docs" / "howto" / "watch_services.md").read_text("utf-8")
    names = [metric.name for metric in METRICS if not metric.name.startswith("metwork_job")]
    assert [name for name in names if f"| `{name}` |" not in page] == []
    assert len(names) == 5
