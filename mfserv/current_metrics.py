"""Current metrics: what waits in the router and in the store of jobs at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mfext.clock import age
from mfext.environment import Home
from mfext.lifecycle.last_good import remembered_processes
from mfext.metrics.metric import Metric, Sample
from mfext.section import Config
from mfserv.jobs.config import jobs_config
from mfserv.jobs.counts import AGAIN, EXPIRED, SUBMITTED, TOOK, WAITED, JobCounts
from mfserv.jobs.job import Status
from mfserv.jobs.stores.engines import open_store
from mfserv.router.admin_socket import RouterLink
from mfserv.router.metrics import (
    IN_HAND,
    JOB_DURATION,
    JOB_WAIT,
    JOBS_ACCEPTED,
    JOBS_DISMISSED,
    JOBS_EXPIRED,
    JOBS_FAILED,
    JOBS_FINISHED,
    JOBS_GIVEN_BACK,
    JOBS_OLDEST,
    JOBS_RUNNING,
    JOBS_WAITING,
    WAITING,
    WORKERS,
)

GATEWAY = "gateway"
#: Counters by the names under which the store keeps them.
_COUNTERS = {
    SUBMITTED: JOBS_ACCEPTED,
    str(Status.SUCCESSFUL): JOBS_FINISHED,
    str(Status.FAILED): JOBS_FAILED,
    str(Status.DISMISSED): JOBS_DISMISSED,
    AGAIN: JOBS_GIVEN_BACK,
    EXPIRED: JOBS_EXPIRED,
}
_GAUGES = {Status.ACCEPTED: JOBS_WAITING, Status.RUNNING: JOBS_RUNNING}
_HISTOGRAMS = {WAITED: JOB_WAIT, TOOK: JOB_DURATION}


def samples(home: Home, config: Config) -> Iterator[Sample]:
    """What waits now, and what was counted of jobs.

    Raises:
        ServiceUnavailable: the router or the store of jobs does not answer.
    """
    yield from request_samples(RouterLink(home).statistics())
    if not any(process.name == GATEWAY for process in remembered_processes(home)):
        return  # no service takes jobs
    store = open_store(home, jobs_config(config))
    try:
        yield from job_samples(store.job_counts(), store.now())
    finally:
        store.close()


def request_samples(statistics: Iterable[Mapping[str, str]]) -> Iterator[Sample]:
    """What waits and what is in hand, by app, of what HAProxy counts (pure)."""
    for row in statistics:
        kind, _, name = row["pxname"].partition(".")
        if row["svname"] != "BACKEND" or kind not in ("app", "lane"):
            continue
        # The queue of a lane is that of its class; all then wait in the queue of the workers.
        class_, app = name.split(".", 1) if kind == "lane" else ("workers", name)
        yield _sample(WAITING, (app, class_), row["qcur"])
        if kind == "app":
            yield _sample(IN_HAND, (app,), row["scur"])
            yield _sample(WORKERS, (app,), row["act"])


def _sample(metric: Metric, labels: tuple[str, ...], value: str) -> Sample:
    return Sample(metric, labels, (float(value or 0),))


def job_samples(job_counts: Mapping[str, JobCounts], now: float) -> Iterator[Sample]:
    """What is counted of jobs, by process; *now* is the time of the store, in epoch seconds (pure)."""
    for process, tally in sorted(job_counts.items()):
        labels = (process,)
        for name, metric in _COUNTERS.items():
            yield Sample(metric, labels, (float(tally.ever.get(name, 0)),))
        for status, metric in _GAUGES.items():
            yield Sample(metric, labels, (float(tally.now.get(status, 0)),))
        yield Sample(JOBS_OLDEST, labels, (age(tally.oldest, now) if tally.oldest else 0.0,))
        for name, metric in _HISTOGRAMS.items():
            counts = [float(tally.ever.get(f"{name}_{number}", 0)) for number in range(len(metric.buckets) + 1)]
            yield Sample(metric, labels, (*counts, tally.ever.get(f"{name}_ms", 0) / 1000))
