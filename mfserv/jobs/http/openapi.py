"""OpenAPI 3.0 of the gateway's own pages, for people, for generators of clients, and for validators (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfext.net.problem import MEDIA_TYPE
from mfserv.jobs.http.ogc_processes import JSON
from mfserv.jobs.job import LATEST, Status
from mfserv.jobs.route import JobRoute

Document = dict[str, Any]


def openapi(routes: Sequence[JobRoute]) -> Document:
    """The description of everything that is not the services themselves."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "MetWork jobs and processes", "version": "1.0.0"},
        "paths": {
            "/": _page("The landing page", "landingPage"),
            "/conformance": _page("Conformance classes", "conformance"),
            "/processes": _page("Processes", "processList", _number("limit", 1, 1000), _number("offset", 0, 10**9)),
            "/processes/{processID}": _page("A process", "process", _process_id(routes), errors=(404,)),
            "/processes/{processID}/execution": _execution(routes),
            "/jobs": _page("Your jobs", "jobList", *_job_filters()),
            "/jobs/{jobID}": {
                **_page("A job", "statusInfo", _job_id(), errors=(404,)),
                "delete": _operation("Dismiss a job", {200: "statusInfo"}, _job_id(), errors=(404, 503)),
            },
            "/jobs/{jobID}/results": {
                "get": {
                    "summary": "Results of a job",
                    "operationId": "results",
                    "parameters": [_job_id()],
                    "responses": {
                        "200": {"description": "What the service answered", "content": {"*/*": {"schema": {}}}},
                        "204": _REFERRED,
                        **_problems((400, 404, 410, 500, 503)),
                        "default": {"description": "What the service answered", "content": {"*/*": {"schema": {}}}},
                    },
                }
            },
        },
        "components": {"schemas": SCHEMAS},
    }


def _page(summary: str, schema: str, *parameters: Document, errors: tuple[int, ...] = ()) -> Document:
    return {"get": _operation(summary, {200: schema}, *parameters, errors=(400, *errors, 503))}


def _operation(
    summary: str, answers: Mapping[int, str], *parameters: Document, errors: tuple[int, ...] = ()
) -> Document:
    responses = {
        str(status): {
            "description": summary,
            "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        }
        for status, schema in answers.items()
    }
    return {
        "summary": summary,
        "operationId": summary.lower().replace(" ", "-"),
        "parameters": list(parameters),
        "responses": {**responses, **_problems(errors)},
    }


def _execution(routes: Sequence[JobRoute]) -> Document:
    operation = _operation(
        "Execute a process",
        {201: "statusInfo"},
        _process_id(routes),
        errors=(400, 404, 413, 422, 429, 503),
    )
    operation["parameters"] += [
        _header("Prefer", "respond-async, wait=N"),
        _header("Idempotency-Key", "Any text", maxLength=255),
    ]
    operation["requestBody"] = {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/execute"}}},
    }
    operation["responses"]["201"]["headers"] = {"Location": {"schema": {"type": "string"}}}
    any_answer = {"description": "The result, if it came in time", "content": {"*/*": {"schema": {}}}}
    return {
        "post": {
            **operation,
            "responses": {"200": any_answer, "204": _REFERRED, **operation["responses"], "default": any_answer},
        }
    }


_REFERRED: Document = {"description": "Where the result is", "headers": {"Link": {"schema": {"type": "string"}}}}


def _problems(statuses: tuple[int, ...]) -> Document:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/exception"}}}
    return {str(status): {"description": "Refused", "content": content} for status in sorted(set(statuses))}


def _process_id(routes: Sequence[JobRoute]) -> Document:
    schema: Document = {"type": "string", "pattern": "^[^/]+$"}
    names = [route.id for route in routes]
    return {
        "name": "processID",
        "in": "path",
        "required": True,
        "schema": schema,
        **({"example": names[0]} if names else {}),
    }


def _job_id() -> Document:
    return {
        "name": "jobID",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    }


def _job_filters() -> tuple[Document, ...]:
    words: Document = {"in": "query", "style": "form", "explode": False}
    statuses = {"type": "array", "items": {"type": "string", "enum": [*Status]}}
    names = {"type": "array", "items": {"type": "string"}}
    return (
        _number("limit", 1, 1000),
        _number("before", 0, LATEST),
        _number("minDuration", 0, 10**12 - 1),
        _number("maxDuration", 0, 10**12 - 1),
        {**words, "name": "type", "schema": {"type": "array", "items": {"type": "string", "enum": ["process"]}}},
        {"in": "query", "name": "datetime", "schema": {"type": "string"}, "example": "2026-01-31T12:00:00Z/.."},
        {**words, "name": "status", "schema": statuses},
        {**words, "name": "processID", "schema": names},
    )


def _number(name: str, least: int, most: int) -> Document:
    schema = {"type": "integer", "minimum": least, "maximum": most, "format": "int64"}
    return {"name": name, "in": "query", "schema": schema}


def _header(name: str, description: str, **limits: int) -> Document:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", **limits}}


def _object(required: tuple[str, ...], **properties: Document) -> Document:
    return {"type": "object", "required": list(required), "properties": properties}


_TEXT: Document = {"type": "string"}
_TIME: Document = {"type": "string", "format": "date-time"}
_LINKS: Document = {"type": "array", "items": {"$ref": "#/components/schemas/link"}}
_CONTROL: Document = {"type": "string", "enum": ["sync-execute", "async-execute", "dismiss"]}
_TRANSMISSION: Document = {"type": "string", "enum": ["value", "reference"]}

_OUTPUT: Document = {"type": "object", "properties": {"transmissionMode": _TRANSMISSION}}

_SUMMARY: Document = {
    "id": _TEXT,
    "version": _TEXT,
    "title": _TEXT,
    "description": _TEXT,
    "keywords": {"type": "array", "items": _TEXT},
    "jobControlOptions": {"type": "array", "items": _CONTROL},
    "outputTransmission": {"type": "array", "items": _TRANSMISSION},
    "links": _LINKS,
}

SCHEMAS: Document = {
    "link": _object(("href",), href=_TEXT, rel=_TEXT, type=_TEXT, title=_TEXT),
    "exception": _object(("type",), type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT),
    "landingPage": _object(("links",), title=_TEXT, description=_TEXT, links=_LINKS),
    "conformance": _object(("conformsTo",), conformsTo={"type": "array", "items": _TEXT}),
    "processSummary": _object(("id", "version"), **_SUMMARY),
    "processList": _object(
        ("processes", "links"),
        processes={"type": "array", "items": {"$ref": "#/components/schemas/processSummary"}},
        links=_LINKS,
    ),
    "process": _object(("id", "version"), **_SUMMARY, inputs={"type": "object"}, outputs={"type": "object"}),
    "execute": _object(
        (),
        inputs={"type": "object"},
        outputs={"type": "object", "properties": {"result": _OUTPUT}, "additionalProperties": False},
        response={"type": "string", "enum": ["raw", "document"], "default": "raw"},
    ),
    "statusInfo": _object(
        ("jobID", "status", "type"),
        jobID=_TEXT,
        processID=_TEXT,
        type={"type": "string", "enum": ["process"]},
        status={"type": "string", "enum": [*Status]},
        message=_TEXT,
        created=_TIME,
        started=_TIME,
        finished=_TIME,
        updated=_TIME,
        expires=_TIME,
        progress={"type": "integer", "minimum": 0, "maximum": 100},
        position={"type": "integer", "minimum": 1},
        attempts={"type": "integer", "minimum": 0},
        links=_LINKS,
    ),
    "jobList": _object(
        ("jobs", "links"),
        jobs={"type": "array", "items": {"$ref": "#/components/schemas/statusInfo"}},
        links=_LINKS,
    ),
}
