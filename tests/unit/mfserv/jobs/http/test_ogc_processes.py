from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mfserv.jobs.http.ogc_processes import (
    CLASSES,
    Asked,
    conformance,
    execution,
    process_description,
    process_list,
    status_info,
)
from mfserv.jobs.http.openapi import openapi
from mfserv.jobs.http.problem import Problem
from mfserv.jobs.job import Job, Result, Status
from mfserv.jobs.route import ONLY, JobRoute

ROUTE = JobRoute("p", "/p", ONLY, inputs={"a": {"schema": {"type": "integer"}}, "b": {"schema": {}, "minOccurs": 0}})
JOB = Job(id="j", client="secret-client", process="p", method="GET", uri="/", headers=(("A", "secret"),), created=0.0)


def test_a_process_says_how_it_may_be_executed() -> None:
    described = process_description(ROUTE)
    assert described["jobControlOptions"] == ["async-execute", "dismiss"]
    assert described["inputs"] == ROUTE.inputs
    assert described["outputs"]["result"]["schema"] == {"type": "object"}
    picture = process_description(replace(ROUTE, output_type="image/png"))
    assert picture["outputs"]["result"]["schema"] == {"type": "string", "contentMediaType": "image/png"}


def test_pages_of_processes_follow_one_another() -> None:
    routes = [JobRoute(f"p{number}", f"/p{number}") for number in range(5)]
    listed = process_list(routes, 2, 2)
    assert [one["id"] for one in listed["processes"]] == ["p2", "p3"]
    assert listed["links"][-1]["href"] == "/processes?limit=2&offset=4"
    assert len(process_list(routes, 2, 4)["links"]) == 1


def test_a_status_tells_nothing_that_is_not_for_the_client() -> None:
    info = status_info(replace(JOB, token="secret", worker="secret", result=Result(200, (), "secret", 1)), 0)
    assert "secret" not in str(info)


def test_a_status_tells_the_position_of_a_waiting_job_only() -> None:
    assert status_info(JOB, 4)["position"] == 5
    assert "position" not in status_info(replace(JOB, status=Status.RUNNING), 4)
    assert status_info(JOB)["created"] == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("request_", "wants_document"),
    [
        ({"inputs": {"a": 1}}, False),
        ({"inputs": {"a": 1, "b": 2}, "response": "document"}, True),
        ({"inputs": {"a": 1}, "outputs": {"result": {"transmissionMode": "value"}}}, False),
    ],
)
def test_a_good_execute_request_gives_its_inputs(request_: Any, wants_document: bool) -> None:
    assert execution(ROUTE, request_) == Asked(request_["inputs"], wants_document, by_reference=False)


@pytest.mark.parametrize(
    "request_",
    [
        *(None, [], 1, {"inputs": 1}, {"inputs": {"a": 1}, "response": "both"}, {"inputs": {"b": 1}}),
        *(
            {"inputs": {"a": 1, "c": 1}},
            {"inputs": {"a": 1}, "outputs": []},
            {"inputs": {"a": 1}, "outputs": {"x": {}}},
        ),
    ],
)
def test_a_bad_execute_request_is_refused(request_: Any) -> None:
    with pytest.raises(Problem) as refused:
        execution(ROUTE, request_)
    assert refused.value.status == 400


def test_what_is_not_declared_takes_anything() -> None:
    assert execution(JobRoute("q", "/q"), {"inputs": {"any": 1}}) == Asked(
        {"any": 1}, as_document=False, by_reference=False
    )


def test_every_reference_in_the_openapi_document_leads_somewhere() -> None:
    document = openapi([ROUTE])
    known = set(document["components"]["schemas"])

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [one for inner in value.values() for one in references(inner)]
        return [one for inner in value for one in references(inner)] if isinstance(value, list) else []

    assert {one.rpartition("/")[2] for one in references(document)} <= known
    assert conformance() == {"conformsTo": list(CLASSES)}
