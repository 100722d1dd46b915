"""Metrics: what is counted of jobs, as Prometheus reads it (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mfext.clock import age
from mfserv.jobs.job import Status
from mfserv.jobs.tally import AGAIN, BOUNDS, EXPIRED, SUBMITTED, TOOK, WAITED, Tally

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Counters, each with what it counts.
_COUNTERS = {
    SUBMITTED: ("metwork_jobs_accepted_total", "Jobs that were accepted."),
    str(Status.SUCCESSFUL): ("metwork_jobs_finished_total", "Jobs that were done."),
    str(Status.FAILED): ("metwork_jobs_failed_total", "Jobs that failed."),
    str(Status.DISMISSED): ("metwork_jobs_dismissed_total", "Jobs that were dismissed before they had ended."),
    AGAIN: ("metwork_jobs_given_back_total", "Attempts after which a job waited again."),
    EXPIRED: ("metwork_jobs_expired_total", "Jobs that were forgotten after their time."),
}
_GAUGES = {
    Status.ACCEPTED: ("metwork_jobs_waiting", "Jobs that wait."),
    Status.RUNNING: ("metwork_jobs_running", "Jobs that are being done."),
}
_HISTOGRAMS = {
    WAITED: ("metwork_job_wait_seconds", "Time from submission to the first attempt."),
    TOOK: ("metwork_job_duration_seconds", "Time from the first attempt to the end."),
}


def exposition(tallies: Mapping[str, Tally], now: float) -> str:
    """All of it; *now* is the time, for ages."""
    return "".join(f"{line}\n" for line in _lines(dict(sorted(tallies.items())), now))


def _lines(tallies: Mapping[str, Tally], now: float) -> Iterator[str]:
    for name, (metric, what) in _COUNTERS.items():
        yield from _head(metric, what, "counter")
        for process, tally in tallies.items():
            yield f"{metric}{_label(process)} {tally.ever.get(name, 0)}"
    for status, (metric, what) in _GAUGES.items():
        yield from _head(metric, what, "gauge")
        for process, tally in tallies.items():
            yield f"{metric}{_label(process)} {tally.now.get(status, 0)}"
    yield from _head(
        "metwork_jobs_oldest_waiting_seconds", "Age of the job that waits longest; 0 = none waits.", "gauge"
    )
    for process, tally in tallies.items():
        waited = age(tally.oldest, now) if tally.oldest else 0.0
        yield f"metwork_jobs_oldest_waiting_seconds{_label(process)} {waited:.3f}"
    for name, (metric, what) in _HISTOGRAMS.items():
        yield from _head(metric, what, "histogram")
        for process, tally in tallies.items():
            yield from _histogram(metric, process, name, tally.ever)


def _histogram(metric: str, process: str, name: str, ever: Mapping[str, int]) -> Iterator[str]:
    total = 0
    for number, bound in enumerate((*map(str, BOUNDS), "+Inf")):
        total += ever.get(f"{name}_{number}", 0)
        yield f"{metric}_bucket{_label(process, bound)} {total}"
    yield f"{metric}_sum{_label(process)} {ever.get(f'{name}_ms', 0) / 1000}"
    yield f"{metric}_count{_label(process)} {total}"


def _head(metric: str, what: str, kind: str) -> Iterator[str]:
    yield f"# HELP {metric} {what}"
    yield f"# TYPE {metric} {kind}"


def _label(process: str, bound: str = "") -> str:
    name = process.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{process="{name}"' + (f',le="{bound}"' if bound else "") + "}"
