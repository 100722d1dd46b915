"""Problem: a refusal as the client gets it: a status, and JSON that says what is wrong (RFC 9457, OGC; pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mfext.net.problem import problem_body

_OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
NO_SUCH_JOB = f"{_OGC}/no-such-job"
NO_SUCH_PROCESS = f"{_OGC}/no-such-process"
NOT_READY = f"{_OGC}/result-not-ready"


@dataclass
class Problem(Exception):
    """Why there is no other answer."""

    status: int
    title: str
    detail: str = ""
    type: str = "about:blank"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """What the client reads."""
        return problem_body(self.status, self.title, self.detail, self.type)


def no_such_job() -> Problem:
    """The job is not known."""
    detail = "It never was, it is forgotten because its time is over, or it is of another client."
    return Problem(404, "There is no such job", detail, NO_SUCH_JOB)


def no_such_process(name: str) -> Problem:
    """The process is not known."""
    return Problem(404, f'There is no process "{name}"', "/processes lists them.", NO_SUCH_PROCESS)


def not_allowed(*methods: str) -> Problem:
    """The method does not fit."""
    return Problem(405, "This method is not for this place", headers={"Allow": ", ".join(methods)})


def unavailable(detail: str, seconds: int = 5) -> Problem:
    """The jobs cannot be reached."""
    return Problem(503, "Jobs cannot be taken now", detail, headers={"Retry-After": str(seconds)})
