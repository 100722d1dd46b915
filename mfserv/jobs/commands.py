"""``mfserv.jobs``: what an operator sees of jobs, and how one is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mfext.clock import age
from mfext.commands.output import JSON, Form, Group, print_json, shows_form
from mfext.environment import Home
from mfext.errors import UsageError
from mfserv.jobs.config import JobsConfig, jobs_config, jobs_folder
from mfserv.jobs.counts import SUBMITTED
from mfserv.jobs.job import Job, Status
from mfserv.jobs.spool import Spool
from mfserv.jobs.stores.engines import open_store
from mfserv.jobs.stores.store import JobStore

if TYPE_CHECKING:
    from mfext.commands.module import Target as Here


@click.group(cls=Group, invoke_without_command=True)
@shows_form
@click.pass_context
def jobs(context: click.Context, form: Form) -> None:
    """Requests that are answered later: counted, or one of these.

    They are counted by process and state.
    """
    if context.invoked_subcommand is None:
        _count(context.obj, form)


@jobs.command("list")
@shows_form
@click.option("--client", help="Of this client only.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice([str(one) for one in Status]), help="In this state only."
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="So many at most.")
@click.pass_obj
def list_jobs(here: Here, client: str | None, statuses: tuple[str, ...], limit: int, form: Form) -> None:
    """List jobs from the newest, and count those in each state."""
    from mfext.table import Column, duration, listing

    with _store(here) as store:
        found = store.listed(client, statuses=frozenset(map(Status, statuses)), limit=limit)
        counts = store.counts()
    if form.is_json:
        print_json({"counts": dict(counts), "jobs": [facts(job) for job in found]})
        return
    now = time.time()
    columns = (
        *("JOB", Column("PROCESS", least=10), Column("CLIENT", least=8, leaves=2), "STATUS"),
        *(Column("ATTEMPTS", leaves=3), Column("AGE", leaves=1), Column("MESSAGE", least=12)),
    )
    rows = [
        (
            job.id,
            job.process,
            job.client,
            str(job.status),
            str(job.attempts),
            duration(age(job.created, now)),
            job.message,
        )
        for job in found
    ]
    click.echo(listing("Jobs", columns, rows, "job", form.width))
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


def _count(here: Here, form: Form) -> None:
    from mfext.table import Column, listing

    found = counts_by_process(here.home, _settings(here))
    if form.is_json:
        print_json(found)
        return
    keys = list(found[0]) if found else ["process"]
    rows = [[str(one[key]) for key in keys] for one in found]
    # What needs somebody stays: what waits, runs, failed, and since when.
    leaves = {"submitted": 3, "dismissed": 2, "successful": 1}
    columns = [
        Column(key.upper().replace("_", " "), 12 if key == "process" else 0, leaves=leaves.get(key, 0)) for key in keys
    ]
    click.echo(listing("Jobs", columns, rows, "process", form.width))


@jobs.command()
@JSON
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB...")
@click.pass_obj
def retry(here: Here, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Have jobs that failed tried anew.

    They come behind those that their clients have waiting.
    """
    told: list[dict[str, Any]] = []
    with _store(here) as store:
        for job_id in job_ids:
            job = store.get(job_id)
            if job is None:
                raise _unknown(job_id)
            renewed = store.renew(job_id)
            if renewed is None:
                raise UsageError(f'job "{job_id}" is {job.status}', expected="a job that failed")
            if job.result and job.result.file:
                Spool(jobs_folder(here.home, _settings(here))).result(job.result.file).unlink(missing_ok=True)
            told.append({"job": job_id, "was": job.message, "status": str(renewed.status)})
    if as_json:
        print_json(told)
    else:
        click.echo("\n".join(f"{one['job']} waits again; it had failed: {one['was']}" for one in told))


@jobs.command()
@JSON
@click.argument("job_id", metavar="JOB")
@click.pass_obj
def show(here: Here, job_id: str, as_json: bool) -> None:
    """Show all that is known of a job."""
    with _store(here) as store:
        job = store.get(job_id)
        if job is None:
            raise _unknown(job_id)
        told = facts(job, store.position(job) if job.status is Status.ACCEPTED else None)
    if as_json:
        print_json(told)
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in told.items() if value not in ("", None)))


@jobs.command()
@JSON
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB...")
@click.pass_obj
def dismiss(here: Here, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Stop jobs that wait or are under way.

    Of those that are done, remove the results.
    """
    told: list[dict[str, Any]] = []
    with _store(here) as store:
        spool = Spool(jobs_folder(here.home, _settings(here)))
        for job_id in job_ids:
            job = store.get(job_id)
            dismissed = store.dismiss(job_id)
            if job is None or dismissed is None:
                raise _unknown(job_id)
            spool.forget(job_id, job.result.file if job.result else "")
            told.append({"job": job_id, "was": str(job.status), "status": str(dismissed.status)})
    if as_json:
        print_json(told)
    else:
        click.echo("\n".join(f"{one['job']} is dismissed, it was {one['was']}" for one in told))


def counts_by_process(home: Home, settings: JobsConfig) -> list[dict[str, Any]]:
    """For each process how many jobs are in each state, and the age of the oldest that waits."""
    store = open_store(home, settings)
    try:
        job_counts, now = store.job_counts(), store.now()
    finally:
        store.close()
    return [
        {
            "process": process,
            **{str(status): tally.now.get(status, 0) for status in Status},
            "oldest_waiting_s": round(age(tally.oldest, now), 1) if tally.oldest else 0.0,
            "submitted": tally.ever.get(SUBMITTED, 0),
        }
        for process, tally in sorted(job_counts.items())
    ]


def facts(job: Job, position: int | None = None) -> dict[str, Any]:
    """What is told of *job*; headers and the token of its attempt are for nobody."""
    from mfext.log import utc

    times: Mapping[str, float] = {
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "expires": job.expires,
        "not_before": job.due,
    }
    return {
        "job": job.id,
        "process": job.process,
        "client": job.client,
        "request": f"{job.method} {job.uri}",
        "body_size": job.body_size,
        "priority": job.priority,
        "status": str(job.status),
        "position": None if position is None else position + 1,
        "progress": job.progress,
        "message": job.message,
        "attempts": job.attempts,
        "worker": job.worker,
        **{name: utc(seconds) if seconds else None for name, seconds in times.items()},
        "http_status": job.result.http_status if job.result else None,
        "result_size": job.result.size if job.result else None,
    }


@contextmanager
def _store(here: Here) -> Iterator[JobStore]:
    store = open_store(here.home, _settings(here))
    try:
        yield store
    finally:
        store.close()


def _settings(here: Here) -> JobsConfig:
    from mfext.configuration.module_config import module_config

    return jobs_config(module_config(here.module, here.home))


def _unknown(job_id: str) -> UsageError:
    return UsageError(f'there is no job "{job_id}"', mend='"mfserv.jobs list" shows those there are.')
