"""Metrics of mfserv: requests, as the access log tells them, and jobs; ``current_metrics.py`` looks up the others."""

from __future__ import annotations

import re
from collections import Counter

from mfext.metrics.instrument import Instruments
from mfext.metrics.metric import counter, gauge, histogram
from mfserv.jobs.counts import BOUNDS

REQUESTS = counter("metwork_requests_total", "Requests answered.", "app", "route", "class", "status")
REQUEST_SECONDS = histogram(
    "metwork_request_seconds",
    "Time from the whole request to the end of its answer.",
    *("app", "route", "class"),
)
WAITING = gauge(
    "metwork_requests_waiting", "Requests that wait: in the lane of a class, or for a worker.", "app", "queue"
)
IN_HAND = gauge("metwork_requests_in_hand", "Requests that an app has in hand or that wait for it.", "app")
WORKERS = gauge("metwork_app_workers", "Workers that take requests.", "app")

JOBS_ACCEPTED = counter("metwork_jobs_accepted_total", "Jobs that were accepted.", "process")
JOBS_FINISHED = counter("metwork_jobs_finished_total", "Jobs that were done.", "process")
JOBS_FAILED = counter("metwork_jobs_failed_total", "Jobs that failed.", "process")
JOBS_DISMISSED = counter("metwork_jobs_dismissed_total", "Jobs that were dismissed before they had ended.", "process")
JOBS_GIVEN_BACK = counter("metwork_jobs_given_back_total", "Attempts after which a job waited again.", "process")
JOBS_EXPIRED = counter("metwork_jobs_expired_total", "Jobs that were forgotten after their time.", "process")
JOBS_WAITING = gauge("metwork_jobs_waiting", "Jobs that wait.", "process")
JOBS_RUNNING = gauge("metwork_jobs_running", "Jobs that are being done.", "process")
JOBS_OLDEST = gauge(
    "metwork_jobs_oldest_waiting_seconds", "Age of the job that waits longest; 0 = none waits.", "process"
)
JOB_WAIT = histogram(
    "metwork_job_wait_seconds", "Time from submission to the first attempt.", "process", buckets=BOUNDS
)
JOB_DURATION = histogram(
    "metwork_job_duration_seconds", "Time from the first attempt to the end.", "process", buckets=BOUNDS
)

METRICS = (
    *(REQUESTS, REQUEST_SECONDS, WAITING, IN_HAND, WORKERS),
    *(JOBS_ACCEPTED, JOBS_FINISHED, JOBS_FAILED, JOBS_DISMISSED, JOBS_GIVEN_BACK, JOBS_EXPIRED),
    *(JOBS_WAITING, JOBS_RUNNING, JOBS_OLDEST, JOB_WAIT, JOB_DURATION),
)

#: Of a line of the access log; what clients say stands between quotes that they cannot close.
_LINE = re.compile(
    rb'"class":"([^"]*)","app":"([^"]*)","route":"([^"]*)","status":(-?[0-9]+),"total_ms":(-?[0-9]+),', re.ASCII
)
#: What HAProxy logs of what there is not.
_NOTHING = b"-"


def count_requests(instruments: Instruments, lines: bytes) -> None:
    """Count what *lines* of the access log tell."""
    for (class_, app, route, status, took), number in Counter(_LINE.findall(lines)).items():
        known = app != _NOTHING
        labels = (_word(app), (_word(route) or "/") if known else "", _word(class_))
        instruments.add(REQUESTS, (*labels, status.decode()), number)
        instruments.observe(REQUEST_SECONDS, labels, max(0, int(took)) / 1000, number)


def _word(field: bytes) -> str:
    return "" if field == _NOTHING else field.decode()
