"""What OGC API - Processes, Part 1 (18-062r2), says of its documents, as JSON schemas written from its tables."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
LINK: Schema = {
    "type": "object",
    "required": ["href"],
    "properties": dict.fromkeys(("href", "rel", "type", "hreflang", "title"), TEXT),
}
LINKS: Schema = {"type": "array", "items": LINK}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


LANDING_PAGE = _object("links", title=TEXT, description=TEXT, links={**LINKS, "minItems": 1})
CONFORMANCE = _object("conformsTo", conformsTo=_list({"type": "string", "format": "uri"}))
EXCEPTION = _object("type", type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT, instance=TEXT)

_DESCRIBED: dict[str, Schema] = {"title": TEXT, "description": TEXT, "keywords": _list(TEXT)}
_SUMMARY: dict[str, Schema] = {
    **_DESCRIBED,
    "id": TEXT,
    "version": TEXT,
    "jobControlOptions": _list({"enum": ["sync-execute", "async-execute", "dismiss"]}),
    "outputTransmission": _list({"enum": ["value", "reference"]}),
    "links": LINKS,
}
_INPUT = _object(
    "schema",
    **_DESCRIBED,
    schema={"type": "object"},
    minOccurs={"type": "integer", "minimum": 0},
    maxOccurs={"anyOf": [{"type": "integer", "minimum": 1}, {"const": "unbounded"}]},
)
PROCESS_SUMMARY = _object("id", "version", **_SUMMARY)
PROCESS_LIST = _object("processes", "links", processes=_list(PROCESS_SUMMARY), links=LINKS)
PROCESS = _object(
    "id",
    "version",
    **_SUMMARY,
    inputs={"type": "object", "additionalProperties": _INPUT},
    outputs={"type": "object", "additionalProperties": _object("schema", **_DESCRIBED, schema={"type": "object"})},
)
STATUS_INFO = _object(
    "jobID",
    "status",
    "type",
    jobID=TEXT,
    processID=TEXT,
    type={"const": "process"},
    status={"enum": ["accepted", "running", "successful", "failed", "dismissed"]},
    message=TEXT,
    created=TIME,
    started=TIME,
    finished=TIME,
    updated=TIME,
    progress={"type": "integer", "minimum": 0, "maximum": 100},
    links=LINKS,
)
JOB_LIST = _object("jobs", "links", jobs=_list(STATUS_INFO), links=LINKS)
#: Each output: a value that is no object, a value with its format, or a link.
_QUALIFIED = {**_object("value", mediaType=TEXT, encoding=TEXT), "not": {"required": ["href"]}}
RESULTS: Schema = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"not": {"type": "object"}}, _QUALIFIED, LINK]},
}
