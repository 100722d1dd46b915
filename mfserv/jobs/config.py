"""The ``[jobs]`` section, and the processes that do the jobs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mfext.environment import Home
from mfext.errors import ConfigError
from mfext.option import option
from mfext.section import Config, Section
from mfext.supervision.process import Process

#: Bytes of the largest execute request, which is read into memory.
MAX_EXECUTE = 1_000_000


@dataclass(frozen=True)
class JobsConfig(Section):
    """Requests that are answered later: how many may wait, how they are done, how long their results are kept."""

    engine: str = option(
        "sqlite",
        choices=("sqlite", "rabbitmq"),
        help="Where jobs are kept: sqlite = on this host, rabbitmq = in RabbitMQ and redis, for several hosts.",
    )
    rabbitmq_url: str = option(
        "", secret=True, help="The broker, with engine = rabbitmq.", example="amqp://user:secret@host:5672/%2F"
    )
    redis_url: str = option(
        "",
        secret=True,
        help="The store of the job records, with engine = rabbitmq; it must append every write to its disk at once "
        "(appendonly yes, appendfsync always).",
        example="redis://host:6379/0",
    )
    queue: str = option(
        "metwork.jobs",
        pattern=r"[A-Za-z0-9_.-]{1,100}",
        advanced=True,
        help="Name of the queue at the broker, and beginning of the keys in redis.",
    )
    folder: str = option(
        "",
        help="Where bodies and results of jobs are kept; empty = var/jobs in the home. With several hosts, a file "
        "system that all of them share.",
    )
    max_queue: int = option(10_000, minimum=1, help="Jobs that may wait; one more is refused with 503.")
    max_queue_client: int = option(
        1_000, minimum=1, help="Jobs of one client that may wait; one more is refused with 429."
    )
    max_body: int = option(1_000_000_000, unit="bytes", minimum=0, help="Largest body of a request.")
    body_timeout: float = option(
        600.0, unit="s", minimum=0.1, help="Time without a byte of a body after which a request is given up."
    )
    max_result: int = option(10_000_000_000, unit="bytes", minimum=0, help="Largest result; a larger one is a failure.")
    result_ttl: float = option(86_400.0, unit="s", minimum=1, help="Time that a job and its result are kept once done.")
    max_wait: float = option(
        30.0, unit="s", minimum=0, help="Longest time that a client may ask to wait (Prefer: wait=N) for a result."
    )
    sync_wait: float = option(
        30.0,
        unit="s",
        minimum=0,
        help="Time that a synchronous execution of a process is waited for; then it goes on as an asynchronous one.",
    )
    runners: int = option(1, minimum=0, help="Runner processes on this host; 0 = other hosts do the jobs.")
    concurrency: int = option(4, minimum=1, help="Jobs that one runner process does at the same time.")
    timeout: float = option(3_600.0, unit="s", minimum=1, help="Time that one attempt to do a job may take.")
    attempts: int = option(
        3, minimum=1, help="Attempts after which a job has failed: its runner died, the service broke off or timed out."
    )
    retry_min_wait: float = option(5.0, unit="s", minimum=0, help="Wait before the second attempt; it doubles.")
    retry_max_wait: float = option(300.0, unit="s", minimum=0, help="Longest wait before an attempt.")
    give_up_after: float = option(
        86_400.0,
        unit="s",
        minimum=1,
        help="Age at which a job has failed that the service was always too busy to take.",
    )
    lease: float = option(
        30.0,
        unit="s",
        minimum=1,
        advanced=True,
        help="Time after which a job whose runner gives no sign of life is given to another one.",
    )
    graceful_timeout: float = option(
        30.0,
        unit="s",
        minimum=0,
        help="Time that jobs in hand have when a runner is stopped; then they are given back, and done later anew.",
    )


def jobs_config(config: Config) -> JobsConfig:
    """The ``[jobs]`` section of the module's configuration, looked at as a whole.

    Raises:
        ConfigError: the engine is not told where its servers are.
    """
    settings = config.section("jobs", JobsConfig)
    if settings.engine == "rabbitmq":
        for key in ("rabbitmq_url", "redis_url"):
            if not getattr(settings, key):
                raise ConfigError(
                    f"{key} is empty", where=f"{config.origin('jobs', 'engine')} [jobs]", expected="where the server is"
                )
    return settings


def jobs_folder(home: Home, settings: JobsConfig) -> Path:
    """Where bodies and results are kept."""
    return Path(settings.folder) if settings.folder else home.var / "jobs"


def job_processes(home: Home, config: Config) -> list[Process]:
    """What must run so that jobs are taken and done."""
    settings = jobs_config(config)
    fingerprint = config.digest()
    gateway = Process(
        name="gateway",
        command=(sys.executable, "-m", "mfserv.jobs.http.gateway"),
        folder=home.path,
        graceful_timeout=settings.graceful_timeout,
        fingerprint=fingerprint,
    )
    runner = Process(
        name="job_runner",
        command=(sys.executable, "-m", "mfserv.jobs.execution.runner"),
        folder=home.path,
        numprocesses=settings.runners,
        # It gives back by itself what is not done in time.
        graceful_timeout=settings.graceful_timeout + 5,
        fingerprint=fingerprint,
    )
    return [gateway, runner]
