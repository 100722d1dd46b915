"""Jobs through the real router: from the client over HAProxy, gateway, runner and HAProxy again to a plugin."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from http.client import HTTPException
from typing import Any

import pytest

from mfext.testing import wait_until
from mfserv.testing import Answer
from tests.integration.mfserv.serv import Serv

CODE = """
import asyncio, os, urllib.parse

async def app(scope, receive, send):
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    asked = dict(urllib.parse.parse_qsl(scope["query_string"].decode()))
    await asyncio.sleep(float(asked.get("sleep", 0)))
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    text = f"{scope['method']} {scope['path']} {headers.get('x-metwork-job', 'no job')} " \\
        f"{headers.get('x-metwork-client', '')} {headers.get('x-metwork-class', '')} "
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode() + body})
"""
PROCESS = {
    "title": "A field",
    "description": "Cuts a field",
    "keywords": ["field"],
    "inputs": {"area": {"schema": {"type": "string"}}, "level": {"schema": {"type": "integer"}, "minOccurs": 0}},
    "output": {"type": "string"},
    "media_type": "text/plain",
    "path": "/cut",
}
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def async_serv(serv: Serv) -> Serv:
    """A module with a plugin whose requests may be jobs, and one whose requests all are."""
    serv.develop(serv.plugin("maybe", code=CODE, **{"async": "allow"}))
    serv.develop(serv.plugin("always", code=CODE, **{"async": "only"}))
    slow = serv.plugin(
        "slow", code=CODE, timeout="0.5", async_timeout="60", process="process.json", **{"async": "allow"}
    )
    (slow / "process.json").write_text(json.dumps(PROCESS))
    serv.develop(slow)
    return serv


def ended(serv: Serv, path: str) -> Any:
    def final() -> Any:
        job = serv.service.get(path).json()
        return job if job["status"] in ("successful", "failed", "dismissed") else None

    return wait_until(final, what=f"the end of {path}")


def submit(serv: Serv, path: str, body: bytes = b"body") -> Answer:
    return serv.service.post(path, body, ASYNC)


def test_a_request_becomes_a_job_when_the_client_prefers_it(async_serv: Serv) -> None:
    direct = async_serv.service.post("/maybe/a?b=c", b"body")
    assert (direct.status, b"no job" in direct.body) == (200, True)
    accepted = submit(async_serv, "/maybe/a?b=c")
    assert accepted.status == 202
    path = accepted.headers["location"]
    job = ended(async_serv, path)
    assert job["status"] == "successful", job
    result = async_serv.service.get(f"{path}/results")
    method, place, job_id, client, kind, body = result.body.decode().split(" ")
    assert (method, body, job_id) == ("POST", "body", path.rpartition("/")[2])
    assert place in direct.body.decode()
    assert client == "address:127.0.0.1"
    assert kind == "batch"


def test_every_request_becomes_a_job_where_that_is_so(async_serv: Serv) -> None:
    accepted = async_serv.service.post("/always/x", b"x")
    assert accepted.status == 202
    assert ended(async_serv, accepted.headers["location"])["status"] == "successful"


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        ("", "", "application/json"),
        ("*/*", "", "application/json"),
        ("application/json, text/html", "", "application/json"),
        ("text/html;q=0.1, application/json", "", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", "text/html"),
        ("text/html", "", "text/html"),
        ("application/xhtml+xml, text/html", "", "text/html"),
        ("text/html", "?f=json", "application/json"),
        ("*/*", "?f=html", "text/html"),
    ],
)
def test_the_first_page_is_json_but_for_who_asks_for_html_first(
    async_serv: Serv, accept: str, query: str, media_type: str
) -> None:
    answer = async_serv.service.get(f"/{query}", {"Accept": accept} if accept else {})
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["vary"] == "Accept"


def test_processes_are_the_routes(async_serv: Serv) -> None:
    listed = async_serv.service.get("/processes").json()["processes"]
    assert {one["id"]: one["jobControlOptions"] for one in listed} == {
        "always.main": ["async-execute", "dismiss"],
        "maybe.main": ["sync-execute", "async-execute", "dismiss"],
        "slow.main": ["sync-execute", "async-execute", "dismiss"],
    }
    assert "conformsTo" in async_serv.service.get("/conformance").json()
    for link in async_serv.service.get("/", {"Accept": "application/json"}).json()["links"]:
        assert async_serv.service.get(link["href"], {"Accept": "application/json"}).status == 200, link
    done = async_serv.service.post(
        "/processes/maybe.main/execution", b'{"inputs": {"a": 1}}', {"Content-Type": "application/json"}
    )
    assert (done.status, done.body.endswith(b'{"a": 1}')) == (200, True)


def test_a_process_is_what_its_plugin_says(async_serv: Serv) -> None:
    described = async_serv.service.get("/processes/slow.main").json()
    assert {name: described[name] for name in ("title", "description", "keywords", "inputs")} == {
        name: PROCESS[name] for name in ("title", "description", "keywords", "inputs")
    }
    assert described["outputs"]["result"]["schema"] == {"type": "string"}
    as_json = {"Content-Type": "application/json"}
    done = async_serv.service.post("/processes/slow.main/execution", b'{"inputs": {"area": "N"}}', as_json)
    assert (done.status, b"/cut" in done.body) == (200, True)
    refused = async_serv.service.post("/processes/slow.main/execution", b'{"inputs": {"area": 1}}', as_json)
    assert refused.status == 400
    assert "area" in refused.json()["title"]


def test_a_job_may_take_longer_than_a_request(async_serv: Serv) -> None:
    assert async_serv.service.post("/slow?sleep=2", b"").status == 504
    job = ended(async_serv, submit(async_serv, "/slow?sleep=2").headers["location"])
    assert (job["status"], job["attempts"]) == ("successful", 1)


def test_jobs_are_counted_for_prometheus(async_serv: Serv) -> None:
    ended(async_serv, submit(async_serv, "/maybe").headers["location"])

    def values() -> dict[str, float]:
        text = async_serv.service.get("/__metrics/jobs").body.decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    finished = 'metwork_jobs_finished_total{process="maybe.main"}'
    wait_until(lambda: values().get(finished, 0) >= 1, what="a finished job is counted")
    found = values()
    assert found['metwork_jobs_waiting{process="maybe.main"}'] == 0
    count = found['metwork_job_duration_seconds_count{process="maybe.main"}']
    assert found['metwork_job_duration_seconds_bucket{le="+Inf",process="maybe.main"}'] == count >= 1


def test_a_process_that_is_described_wrongly_is_refused(serv: Serv) -> None:
    plugin = serv.plugin("wrong", code=CODE, process="process.json", **{"async": "allow"})
    (plugin / "process.json").write_text('{"inputs": {"a": 1}}')
    refused = serv.try_to("plugins.develop", str(plugin))
    assert refused.returncode != 0
    assert "process.json" in refused.stderr
    assert 'the input "a" has no schema' in refused.stderr


def test_a_client_cannot_say_who_it_is(async_serv: Serv) -> None:
    accepted = async_serv.service.post(
        "/maybe", b"", {**ASYNC, "X-Metwork-Client": "somebody", "X-Metwork-Class": "interactive"}
    )
    path = accepted.headers["location"]
    ended(async_serv, path)
    assert b"somebody" not in async_serv.service.get(f"{path}/results").body
    mine = [job["jobID"] for job in async_serv.service.get("/jobs").json()["jobs"]]
    assert path.rpartition("/")[2] in mine
    theirs = async_serv.service.get("/jobs", {"X-Metwork-Client": "other"}).json()["jobs"]
    assert path.rpartition("/")[2] in [job["jobID"] for job in theirs]


def test_the_command_lists_shows_and_dismisses(async_serv: Serv) -> None:
    job = submit(async_serv, "/maybe?sleep=30").headers["location"].rpartition("/")[2]
    listed = async_serv.ask("mfserv.jobs", "list")
    assert job in [one["job"] for one in listed["jobs"]]
    counts = dict(listed["counts"])
    assert counts.pop("submitted") == sum(counts.values())
    assert async_serv.ask("mfserv.jobs", "show", job)["process"] == "maybe.main"
    assert "maybe.main" in async_serv.run("mfserv.jobs", "list", "--status", "running", "--status", "accepted")
    assert async_serv.ask("mfserv.jobs", "dismiss", job)[0]["status"] == "dismissed"
    assert async_serv.service.get(f"/jobs/{job}").json()["status"] == "dismissed"
    counted = {one["process"]: one for one in async_serv.ask("mfserv.jobs")}
    assert counted["maybe.main"]["dismissed"] >= 1
    assert "maybe.main" in async_serv.run("mfserv.jobs")
    not_failed = async_serv.try_to("mfserv.jobs", "retry", job)
    assert (not_failed.returncode, "expected a job that failed" in not_failed.stderr) == (2, True)
    (status,) = [one for one in async_serv.ask("mfserv.status")["more"]["jobs"] if one["process"] == "maybe.main"]
    assert status["submitted"] == counted["maybe.main"]["submitted"]
    refused = async_serv.try_to("mfserv.jobs", "show", "nosuch")
    assert (refused.returncode, "there is no job" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_who_looks_after_a_job_as_told_gets_the_result_whatever_the_rate(async_serv: Serv) -> None:
    async_serv.configure("[limits]\nanonymous_rate = 3/60s\naddress_rate = 3/60s\n")
    async_serv.run("metwork", "apply", "mfserv")
    try:
        place = wait_until(lambda: submit(async_serv, "/always/x?sleep=3").headers.get("location"), what="a job")
        wait_until(lambda: async_serv.service.get("/maybe/").status == 429, what="the rate is used up")
        statuses = set()
        for _ in range(8):
            answer = async_serv.service.get(str(place))
            statuses.add(answer.status)
            time.sleep(0.3)
        wait_until(lambda: ended(async_serv, str(place))["status"] == "successful", what="its end")
        statuses.add(async_serv.service.get(f"{place}/results").status)
        assert statuses == {200}
        assert async_serv.service.get("/jobs").status == 429
        assert async_serv.service.ask("DELETE", str(place)).status == 429
        # Who looks for what is not there, or does not wait at all, is refused.
        found = [async_serv.service.get(f"/jobs/none-{number}").status for number in range(6)]
        assert found == [404, 404, 404, 429, 429, 429]
    finally:
        async_serv.configure()
        async_serv.run("metwork", "apply", "mfserv")


def test_who_asks_for_a_job_without_a_pause_is_told_to_wait(async_serv: Serv) -> None:
    place = str(submit(async_serv, "/always/x").headers["location"])
    answers = [async_serv.service.get(place) for _ in range(60)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "11"


def test_no_accepted_job_is_lost_when_gateway_runner_and_worker_are_killed(async_serv: Serv) -> None:
    accepted: list[str] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer = submit(async_serv, "/maybe?sleep=0.02")
            except (OSError, HTTPException):
                continue
            if answer.status == 202:
                accepted.append(answer.headers["location"])

    threads = [threading.Thread(target=client) for _ in range(2)]
    for thread in threads:
        thread.start()
    workers = [path.name for path in (async_serv.home.run / "ready").iterdir() if "maybe" in path.name]
    for process in ("gateway", "job_runner", *workers, "router", "gateway", "job_runner"):
        (pid, *_) = wait_until(lambda process=process: async_serv.pids(process), what=process)  # type: ignore[misc]
        os.kill(pid, signal.SIGKILL)
        count = len(accepted)
        wait_until(lambda count=count: len(accepted) > count + 10, what="more jobs")  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    states = [ended(async_serv, path) for path in accepted]
    assert [job for job in states if job["status"] != "successful" and not job.get("message")] == []
    counts = dict(async_serv.ask("mfserv.jobs", "list")["counts"])
    assert counts.pop("submitted") == sum(counts.values())
