"""OGC API - Processes, Part 1 (18-062r2): every document, made from routes and jobs (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from mfserv.jobs.http.problem import Problem
from mfserv.jobs.job import Job, Status
from mfserv.jobs.route import JobRoute

JSON = "application/json"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_CONFORMANCE = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
CLASSES = tuple(
    f"{_CONFORMANCE}/{name}" for name in ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss")
)

#: The one output that every process has: what its service answers.
OUTPUT = "result"

Document = dict[str, Any]


def landing_page() -> Document:
    """``/``."""
    return {
        "title": "MetWork services",
        "description": "Services that may be asked now and answer later.",
        "links": [
            _link("/", "self", "This page"),
            _link("/__api", "service-desc", "OpenAPI", "application/vnd.oai.openapi+json;version=3.0"),
            _link("/conformance", f"{_REL}/conformance", "What of OGC API is here"),
            _link("/processes", f"{_REL}/processes", "Processes"),
            _link("/jobs", f"{_REL}/job-list", "Your jobs"),
        ],
    }


def conformance() -> Document:
    """``/conformance``."""
    return {"conformsTo": list(CLASSES)}


def process_list(routes: Sequence[JobRoute], limit: int, offset: int) -> Document:
    """``/processes``."""
    shown = routes[offset : offset + limit]
    links = [_link("/processes", "self", "Processes")]
    if offset + limit < len(routes):
        query = urlencode({"limit": limit, "offset": offset + limit})
        links.append(_link(f"/processes?{query}", "next", "More processes"))
    return {"processes": [_summary(route) for route in shown], "links": links}


def process_description(route: JobRoute) -> Document:
    """``/processes/ID``."""
    output = {"title": "What the service answers", "schema": _output_schema(route)}
    return {**_summary(route), "inputs": dict(route.inputs), "outputs": {OUTPUT: output}}


def status_info(job: Job, position: int | None = None) -> Document:
    """``/jobs/ID``, and what a new job is answered with."""
    info: Document = {
        "jobID": job.id,
        "processID": job.process,
        "type": "process",
        "status": str(job.status),
        "created": _time(job.created),
        "updated": _time(job.updated or job.created),
        "progress": job.progress,
    }
    times = {"started": job.started, "finished": job.finished, "expires": job.expires}
    info |= {name: _time(seconds) for name, seconds in times.items() if seconds}
    if job.message:
        info["message"] = job.message
    if position is not None and job.status is Status.ACCEPTED:
        info["position"] = position + 1
    return {**info, "attempts": job.attempts, "links": _links_of(job)}


def job_list(jobs: Iterable[Job], more: Mapping[str, str] | None) -> Document:
    """``/jobs``; *more* = the query that gives the next ones."""
    links = [_link("/jobs", "self", "Your jobs")]
    if more:
        links.append(_link(f"/jobs?{urlencode(more)}", "next", "Older jobs"))
    return {"jobs": [status_info(job) for job in jobs], "links": links}


def reference(job: Job, media_type: str) -> Document:
    """A result in a document of results that is not written out there."""
    return {OUTPUT: _link(f"/jobs/{job.id}/results/{OUTPUT}", "item", "Result", media_type)}


class Asked(NamedTuple):
    """What an execute request says."""

    inputs: Document
    #: Results shall come as one document.
    as_document: bool
    #: Only where they are shall be told.
    by_reference: bool


def execution(route: JobRoute, request: Any) -> Asked:
    """What an execute *request* says.

    Raises:
        Problem: it is not one, or does not fit the process.
    """
    if not isinstance(request, dict):
        raise Problem(400, "An execute request is a JSON object")
    inputs = request.get("inputs", {})
    if not isinstance(inputs, dict):
        raise Problem(400, '"inputs" is a JSON object')
    response = request.get("response", "raw")
    if response not in ("raw", "document"):
        raise Problem(400, '"response" is "raw" or "document"')
    by_reference = _is_by_reference(request.get("outputs", {}))
    _check_inputs(route, inputs)
    return Asked(inputs, response == "document", by_reference)


def _is_by_reference(outputs: Any) -> bool:
    if not isinstance(outputs, dict):
        raise Problem(400, '"outputs" is a JSON object')
    unknown = sorted(set(outputs) - {OUTPUT})
    if unknown:
        raise Problem(400, f'There is no output "{unknown[0]}"', f'The only one is "{OUTPUT}".')
    wanted = outputs.get(OUTPUT)
    mode = wanted.get("transmissionMode", "value") if isinstance(wanted, dict) else "value"
    if mode not in ("value", "reference"):
        raise Problem(400, '"transmissionMode" is "value" or "reference"')
    return bool(mode == "reference")


def _check_inputs(route: JobRoute, inputs: Document) -> None:
    if not route.inputs:
        return
    unknown = sorted(set(inputs) - set(route.inputs))
    if unknown:
        raise Problem(400, f'There is no input "{unknown[0]}"', f"Inputs: {', '.join(sorted(route.inputs))}.")
    missing = [name for name, one in route.inputs.items() if one.get("minOccurs", 1) > 0 and name not in inputs]
    if missing:
        raise Problem(400, f'The input "{missing[0]}" is missing')
    for name, value in inputs.items():
        _check_value(name, value, route.inputs[name])


#: The JSON types of a schema, and the Python types that stand for them.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def _check_value(name: str, value: Any, described: Mapping[str, Any]) -> None:
    """The plain part of a schema: what kind of value it is, and of which it is one; the rest is for the service."""
    several = described.get("maxOccurs", 1)
    values = value if isinstance(value, list) and several != 1 else [value]
    if several != "unbounded" and len(values) > several:
        raise Problem(400, f'There are too many values of the input "{name}"', f"It may have {several}.")
    schema = described.get("schema", {})
    for one in values:
        # {"value": ...} and {"href": ...} of Part 1 are passed on as they are: they say more than a value.
        if isinstance(one, dict) and {"value", "href"} & set(one):
            continue
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(_is(one, kind) for kind in kinds):
            raise Problem(400, f'The input "{name}" is not of type {" or ".join(kinds)}')
        if "enum" in schema and one not in schema["enum"]:
            raise Problem(400, f'The input "{name}" is not one of {json.dumps(schema["enum"])}')


def _is(value: Any, kind: str) -> bool:
    is_flag = isinstance(value, bool)
    return isinstance(value, _TYPES.get(kind, (object,))) and (kind == "boolean" or not is_flag or kind not in _TYPES)


def _summary(route: JobRoute) -> Document:
    summary: Document = {
        "id": route.id,
        "version": route.version,
        "title": route.title or route.id,
        "jobControlOptions": [*(["sync-execute"] if route.takes_sync else []), "async-execute", "dismiss"],
        "outputTransmission": ["value", "reference"],
        "links": [
            _link(f"/processes/{route.id}", "self", "Description"),
            _link(f"/processes/{route.id}/execution", f"{_REL}/execute", "Execute it"),
        ],
    }
    if route.description:
        summary["description"] = route.description
    if route.keywords:
        summary["keywords"] = list(route.keywords)
    return summary


def _output_schema(route: JobRoute) -> Document:
    if route.output_schema:
        return dict(route.output_schema)
    if route.output_type == JSON:
        return {"type": "object"}
    return {"type": "string", "contentMediaType": route.output_type}


def _links_of(job: Job) -> list[Document]:
    links = [_link(f"/jobs/{job.id}", "self", "This job")]
    if job.result:
        links.append(_link(f"/jobs/{job.id}/results", f"{_REL}/results", "Results"))
    return links


def _link(href: str, rel: str, title: str, media_type: str = JSON) -> Document:
    return {"href": href, "rel": rel, "type": media_type, "title": title}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
