"""Every conformance class of OGC API - Processes that is claimed, requirement by requirement.

``make conformance`` runs it, prints what was looked at, and brings what it needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mfserv.jobs.http.ogc_processes import CLASSES
from tests.integration.mfserv.jobs import ogc
from tests.integration.mfserv.jobs.job_site import Answer, Site

ROOT = Path(__file__).parents[4]
_EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"


@pytest.fixture(scope="module")
def valid() -> Callable[[Any, ogc.Schema], None]:
    """Says what is wrong with a document."""
    sys.path += [str(path) for path in (ROOT / ".venv" / "conformance").glob("lib/python3*/site-packages")]
    jsonschema = pytest.importorskip("jsonschema", reason="make conformance brings it")
    return lambda document, schema: jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.FormatChecker()
    ).validate(document)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("conformance"), sync_wait=30.0)
    made.start("gateway")
    made.start("runner")
    yield made
    made.stop()


Valid = Callable[[Any, ogc.Schema], None]


def execute(site: Site, request: Any, process: str = "allowed", **headers: str) -> Answer:
    body = json.dumps(request).encode()
    return site.ask("POST", f"/processes/{process}/execution", body, Content_Type="application/json", **headers)


def rels(document: Any) -> set[str]:
    return {link["rel"] for link in document["links"]}


def look(what: str) -> None:
    """Printed by ``make conformance``."""
    print(f"  {what}", flush=True)


def test_all_classes_that_are_claimed_are_looked_at_here(site: Site, valid: Valid) -> None:
    answer = site.ask("GET", "/conformance")
    valid(answer.json, ogc.CONFORMANCE)
    claimed = {name.rpartition("/")[2] for name in answer.json["conformsTo"]}
    assert set(answer.json["conformsTo"]) == set(CLASSES)
    assert claimed == {"core", "ogc-process-description", "json", "oas30", "job-list", "dismiss"}
    look(f"conformance: claims {', '.join(sorted(claimed))}")


def test_core_pages(site: Site, valid: Valid) -> None:
    landing = site.ask("GET", "/")
    assert landing.headers["Content-Type"] == "application/json"
    valid(landing.json, ogc.LANDING_PAGE)
    assert {"service-desc", f"{_REL}/conformance", f"{_REL}/processes", f"{_REL}/job-list"} <= rels(landing.json)
    listed = site.ask("GET", "/processes?limit=2").json
    valid(listed, ogc.PROCESS_LIST)
    assert len(listed["processes"]) == 2
    assert {"self", "next"} <= rels(listed)
    for limit in ("0", "-1", "x"):
        assert site.ask("GET", f"/processes?limit={limit}").status == 400
    look("core: landing page and its links; process list, its schema, limit and next")


def test_core_and_process_description(site: Site, valid: Valid) -> None:
    for one in site.ask("GET", "/processes").json["processes"]:
        described = site.ask("GET", f"/processes/{one['id']}")
        assert described.status == 200
        valid(described.json, ogc.PROCESS)
        assert f"{_REL}/execute" in rels(described.json)
    unknown = site.ask("GET", "/processes/nosuch")
    valid(unknown.json, ogc.EXCEPTION)
    assert (unknown.status, unknown.json["type"]) == (404, f"{_EXCEPTIONS}/no-such-process")
    look("core, ogc-process-description: every description; no-such-process")


def test_core_execution_and_results(site: Site, valid: Valid) -> None:
    created = execute(site, {"inputs": {}}, Prefer="respond-async")
    assert (created.status, created.headers["Location"]) == (201, f"/jobs/{created.json['jobID']}")
    valid(created.json, ogc.STATUS_INFO)
    assert execute(site, {"inputs": {"a": 1}}, "only").status == 201
    ended = site.ended(created.job)
    valid(ended, ogc.STATUS_INFO)
    assert f"{_REL}/results" in rels(ended)
    assert site.ask("GET", f"{created.job}/results").body == b"hello"
    look("core: asynchronous execution (201, Location, statusInfo), results; asynchronous only without a preference")


def test_core_ways_to_get_a_result(site: Site, valid: Valid) -> None:
    raw = execute(site, {"inputs": {}})
    assert (raw.status, raw.body, raw.headers["Content-Type"]) == (200, b"hello", "text/plain")
    document = execute(site, {"inputs": {}, "response": "document"})
    valid(document.json, ogc.RESULTS)
    assert document.json["result"]["value"] == "hello"
    reference = {"result": {"transmissionMode": "reference"}}
    referred = execute(site, {"inputs": {}, "response": "document", "outputs": reference}).json
    valid(referred, ogc.RESULTS)
    assert site.ask("GET", referred["result"]["href"]).body == b"hello"
    nothing = execute(site, {"inputs": {}, "outputs": reference})
    assert (nothing.status, nothing.body) == (204, b"")
    target = nothing.headers["Link"].partition(">")[0].strip("<")
    assert site.ask("GET", target).body == b"hello"
    look("core: synchronous execution: raw and document, each by value and by reference (table 11)")


def test_core_exceptions(site: Site, valid: Valid) -> None:
    site.service.gate.clear()
    job = execute(site, {"inputs": {}}, Prefer="respond-async").job
    early = site.ask("GET", f"{job}/results")
    site.service.gate.set()
    site.ended(job)
    unknown = [site.ask(method, f"/jobs/nosuch{end}") for method, end in (("GET", ""), ("GET", "/results"))]
    for answer, kind in ((early, "result-not-ready"), *((one, "no-such-job") for one in unknown)):
        valid(answer.json, ogc.EXCEPTION)
        assert (answer.status, answer.json["type"]) == (404, f"{_EXCEPTIONS}/{kind}")
    bad: list[Any] = [[], {"inputs": 1}, {"response": "x"}, {"outputs": {"result": {"transmissionMode": "x"}}}]
    for wrong in bad:
        refused = execute(site, wrong)
        valid(refused.json, ogc.EXCEPTION)
        assert refused.status == 400
    look("core, json: result-not-ready, no-such-job, bad execute requests, as exceptions of the schema")


def test_job_list(site: Site, valid: Valid) -> None:
    jobs = [execute(site, {"inputs": {}}, Prefer="respond-async").job for _ in range(3)]
    for job in jobs:
        site.ended(job)
    listed = site.ask("GET", "/jobs?limit=2").json
    valid(listed, ogc.JOB_LIST)
    assert len(listed["jobs"]) == 2
    assert "next" in rels(listed)
    newest = jobs[-1].rpartition("/")[2]
    created = listed["jobs"][0]["created"]
    for query, has_it in (
        ("type=process", True),
        ("processID=allowed", True),
        ("processID=nosuch", False),
        ("status=successful", True),
        ("status=failed", False),
        (f"datetime={created}/..", True),
        ("datetime=../2020-01-01T00:00:00Z", False),
        ("minDuration=0&maxDuration=1000", True),
        ("minDuration=1000", False),
    ):
        found = site.ask("GET", f"/jobs?{query}")
        assert found.status == 200, query
        valid(found.json, ogc.JOB_LIST)
        assert (newest in [one["jobID"] for one in found.json["jobs"]]) is has_it, query
    for query in ("limit=0", "datetime=x", "minDuration=x", "status=x", "status=,", "type=x"):
        assert site.ask("GET", f"/jobs?{query}").status == 400, query
    look("job-list: its schema, limit, next; type, processID, status, datetime, minDuration, maxDuration")


def test_dismiss(site: Site, valid: Valid) -> None:
    site.service.gate.clear()
    job = execute(site, {"inputs": {}}, Prefer="respond-async").job
    dismissed = site.ask("DELETE", job)
    site.service.gate.set()
    valid(dismissed.json, ogc.STATUS_INFO)
    assert (dismissed.status, dismissed.json["status"]) == (200, "dismissed")
    valid(site.ask("DELETE", "/jobs/nosuch").json, ogc.EXCEPTION)
    look("dismiss: 200 and statusInfo; no-such-job")


def test_oas30(site: Site) -> None:
    (described,) = [link for link in site.ask("GET", "/").json["links"] if link["rel"] == "service-desc"]
    answer = site.ask("GET", described["href"])
    assert answer.json["openapi"].startswith("3.0")
    paths = {"/", "/conformance", "/processes", "/processes/{processID}", "/processes/{processID}/execution"}
    paths |= {"/jobs", "/jobs/{jobID}", "/jobs/{jobID}/results"}
    assert paths == set(answer.json["paths"])
    look("oas30: an OpenAPI 3.0 document with every path of Part 1; schemathesis says whether it is true")
