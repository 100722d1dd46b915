"""Jobs in RabbitMQ and redis: two gateways and runners, as on two hosts with one shared folder."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfserv.jobs.job_site import Site
from tests.servers import RabbitMQ, Redis


@pytest.fixture
def site(tmp_path: Path, rabbitmq: RabbitMQ, redis: Redis) -> Iterator[Site]:
    queue = f"jobs-{secrets.token_hex(4)}"
    made = Site(
        tmp_path, engine="rabbitmq", rabbitmq_url=rabbitmq.url, redis_url=redis.url, queue=queue, max_wait=100_000.0
    )
    yield made
    made.stop()


def test_a_job_is_done_and_who_waits_hears_of_it(site: Site) -> None:
    site.start("gateway")
    site.start("runner")
    # Who hears of nothing asks for the job when its time is over, which the client does not wait for.
    answer = site.submit("/only?echo=1", b"body", Prefer="respond-async, wait=100000")
    assert (answer.status, answer.body) == (200, b"body")


def test_a_job_that_is_dismissed_under_way_is_broken_off(site: Site) -> None:
    site.start("gateway")
    site.start("runner")
    site.service.gate.clear()
    job = site.submit("/only").job
    wait_until(lambda: site.service.requests, what="the job at the service")
    assert site.ask("DELETE", job).json["status"] == "dismissed"
    site.service.gate.set()
    assert site.submit("/only", Prefer="wait=30").status == 200
    assert site.job(job)["status"] == "dismissed"


@pytest.mark.slow
def test_no_accepted_job_is_lost_when_runner_broker_and_redis_are_killed(
    site: Site, rabbitmq: RabbitMQ, redis: Redis
) -> None:
    site.start("gateway")
    runner = site.start("runner")
    site.start("runner")
    accepted: list[str] = []
    refused: list[int] = []
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            answer = site.submit("/only?sleep=0.01")
            if answer.status == 202:
                accepted.append(answer.job)
            else:
                refused.append(answer.status)
                time.sleep(0.1)

    def more(count: int) -> None:
        before = len(accepted)
        wait_until(lambda: len(accepted) >= before + count, what="more jobs")

    clients = [threading.Thread(target=submit) for _ in range(2)]
    for client in clients:
        client.start()
    more(20)
    site.kill(runner)
    more(20)
    rabbitmq.kill()
    wait_until(lambda: 503 in refused, what="a refusal")
    rabbitmq.start()
    more(20)
    redis.kill()
    redis.start()
    more(20)
    stop.set()
    for client in clients:
        client.join()
    assert set(refused) <= {503}
    store = site.store
    wait_until(lambda: store.counts()["accepted"] + store.counts()["running"] == 0, what="the end of all jobs")
    kept = {f"/jobs/{job.id}": job for job in store.listed(limit=100_000)}
    assert [job for job in accepted if job not in kept] == []
    assert {str(kept[job].status) for job in accepted} == {"successful"}
    counts = dict(store.counts())
    assert counts.pop("submitted") == sum(counts.values())
