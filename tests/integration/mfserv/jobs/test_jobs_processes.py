"""OGC API - Processes as its clients meet it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.mfserv.jobs.job_site import Answer, Site

EXECUTE = "http://www.opengis.net/def/rel/ogc/1.0/execute"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("processes"), sync_wait=30.0)
    site.start("gateway")
    site.start("runner")
    yield site
    site.stop()


@pytest.fixture
def site(running: Site) -> Site:
    running.renew()
    return running


def execute(site: Site, process: str, request: Any, **headers: str) -> Answer:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return site.ask("POST", f"/processes/{process}/execution", body, Content_Type="application/json", **headers)


def linked(document: Any, relation: str) -> list[str]:
    return [link["href"] for link in document["links"] if link["rel"] == relation]


def test_everything_is_found_from_the_landing_page(site: Site) -> None:
    landing = site.ask("GET", "/").json
    for link in landing["links"]:
        assert site.ask("GET", link["href"]).status == 200, link
    listed = site.ask("GET", "/processes?limit=3").json
    assert [one["id"] for one in listed["processes"]] == ["allowed", "only", "small"]
    (following,) = linked(listed, "next")
    assert [one["id"] for one in site.ask("GET", following).json["processes"]] == ["fetch", "strict", "brief"]
    description = site.ask("GET", "/processes/only").json
    assert description["inputs"] == {"a": {"schema": {"type": "integer"}}}
    assert linked(description, EXECUTE) == ["/processes/only/execution"]


def test_a_synchronous_execution_is_answered_with_the_result(site: Site) -> None:
    answer = execute(site, "allowed", {"inputs": {"x": [1, 2]}})
    assert (answer.status, answer.body) == (200, b"hello")
    method, path, headers, body = site.service.requests[0]
    assert (method, path, json.loads(body)) == ("POST", "/allowed", {"x": [1, 2]})
    assert headers["Content-Type"] == "application/json"


def test_an_asynchronous_execution_creates_a_job(site: Site) -> None:
    created = execute(site, "allowed", {"inputs": {}}, Prefer="respond-async")
    assert created.status == 201
    assert created.headers["Preference-Applied"] == "respond-async"
    assert (created.json["processID"], created.json["type"]) == ("allowed", "process")
    ended = site.ended(created.job)
    (results,) = linked(ended, "http://www.opengis.net/def/rel/ogc/1.0/results")
    assert site.ask("GET", results).body == b"hello"


def test_a_process_that_is_asynchronous_only_needs_no_preference(site: Site) -> None:
    assert execute(site, "only", {"inputs": {"a": 1}}).status == 201


def test_a_document_of_results_holds_values_and_references(site: Site) -> None:
    text = execute(site, "allowed", {"inputs": {}, "response": "document"})
    assert text.json == {"result": {"value": "hello", "mediaType": "text/plain"}}
    raw = site.ask("GET", f"{text.headers['Location']}/results/result")
    assert (raw.body, raw.headers["Content-Type"]) == (b"hello", "text/plain")


def test_inputs_of_a_get_go_into_the_query(site: Site) -> None:
    assert execute(site, "fetch", {"inputs": {"a": "b c", "n": 1, "many": ["x", "y"]}}).status == 200
    method, path, _, body = site.service.requests[0]
    assert (method, path, body) == ("GET", "/fetch?a=b+c&n=1&many=x&many=y", b"")


@pytest.mark.parametrize(
    "request_",
    [
        b"no",
        b"[]",
        b'{"inputs": []}',
        b'{"response": "x"}',
        b'{"outputs": {"other": {}}}',
        b'{"inputs": {"b": 1}}',
        b"{}",
    ],
)
def test_an_execute_request_that_is_none_is_refused(site: Site, request_: bytes) -> None:
    answer = execute(site, "only", request_)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.json["title"]


def test_unknown_processes_and_jobs_are_told_by_their_types(site: Site) -> None:
    for answer in (execute(site, "nosuch", {}), site.ask("GET", "/processes/nosuch")):
        assert answer.status == 404
        assert answer.json["type"].endswith("/no-such-process")


def test_the_same_execution_with_a_key_is_done_once(site: Site) -> None:
    first = execute(site, "only", {"inputs": {"a": 1}}, Idempotency_Key="k")
    site.ended(first.job)
    again = execute(site, "only", {"inputs": {"a": 1}}, Idempotency_Key="k")
    assert (again.status, again.headers["Location"]) == (200, first.job)
    assert execute(site, "only", {"inputs": {"a": 2}}, Idempotency_Key="k").status == 422
    assert len(site.service.requests) == 1


def test_methods_that_do_not_fit_are_told_which_do(site: Site) -> None:
    for method, path in (
        ("DELETE", "/jobs"),
        ("TRACE", "/jobs"),
        ("POST", "/processes"),
        ("GET", "/processes/only/execution"),
    ):
        answer = site.ask(method, path)
        assert answer.status == 405, path
        assert answer.headers["Allow"]
