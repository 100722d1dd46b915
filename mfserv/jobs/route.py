"""JobRoute: what the job gateway knows of a route, and how the module tells it to the running processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.environment import Home
from mfext.fs.atomic import replace_file
from mfserv.jobs.description import description

if TYPE_CHECKING:
    from mfserv.app import App

#: ``async`` of a route.
OFF, ALLOW, ONLY = "off", "allow", "only"


@dataclass(frozen=True)
class JobRoute:
    """A route that takes jobs, and the process that it is in OGC API - Processes."""

    #: Name of the process; in URLs.
    id: str
    #: Requests for this path and below are for the route.
    path: str
    #: ``allow`` or ``only``.
    mode: str = ALLOW
    #: Names of the hosts where it holds; ``*`` = all.
    hosts: tuple[str, ...] = ("*",)
    title: str = ""
    description: str = ""
    version: str = "1.0.0"
    keywords: tuple[str, ...] = ()
    #: Method and path of an execution through OGC API - Processes; '' = ``path``.
    method: str = "POST"
    execute: str = ""
    #: Inputs by name, each as in a process description: ``{"title", "schema", "minOccurs", ...}``.
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: Schema and media type of what it answers.
    output_schema: Mapping[str, Any] = field(default_factory=dict)
    output_type: str = "application/json"
    #: Of the route; 0 = as the module's configuration says.
    max_body: int = 0
    max_wait: float = 0.0
    result_ttl: float = 0.0
    timeout: float = 0.0
    attempts: int = 0
    max_result: int = 0
    #: Jobs of it that may wait; 0 = as many as of all.
    max_queue: int = 0

    @property
    def takes_sync(self) -> bool:
        """Whether a client may wait for the answer of an execution."""
        return self.mode == ALLOW


@dataclass(frozen=True)
class Published:
    """What is in force."""

    routes: tuple[JobRoute, ...] = ()
    #: Names of the priority classes from the highest.
    classes: tuple[str, ...] = ()

    def route_of(self, path: str, host: str = "") -> JobRoute | None:
        """The route for requests of *path* at *host*: one of that host before one of all, then the longest path."""
        name = re.sub(r"\.*(:[0-9]*)?$", "", host.lower())
        found = [route for route in self.routes if _is_below(path, route.path) and {name, "*"} & {*route.hosts}]
        return max(found, key=lambda route: (name in route.hosts, len(route.path)), default=None)

    def process(self, name: str) -> JobRoute | None:
        """The route that is the process *name*."""
        return next((route for route in self.routes if route.id == name), None)

    def priority(self, name: str) -> int:
        """The priority of class *name*, 0 = highest; one that is not known comes last."""
        return self.classes.index(name) if name in self.classes else len(self.classes)


def job_routes(apps: Iterable[App]) -> list[JobRoute]:
    """The routes of *apps* that take jobs; the second and further ones of an app are processes with a number."""
    return [
        _job_route(app, path, app.id if number == 1 else f"{app.id}-{number}")
        for app in apps
        if app.settings.async_ != OFF
        for number, path in enumerate(app.routes, 1)
    ]


def _job_route(app: App, path: str, name: str) -> JobRoute:
    said, own = description(app), app.settings
    return JobRoute(
        id=name,
        path=path,
        mode=own.async_,
        hosts=app.hosts,
        title=said.get("title") or app.title or app.id,
        description=said.get("description", ""),
        version=said.get("version") or app.version or "1.0.0",
        keywords=tuple(said.get("keywords", ())),
        method=said.get("method", "POST"),
        execute=path + said.get("path", "") or "/",
        inputs=said.get("inputs", {}),
        output_schema=said.get("output", {}),
        output_type=said.get("media_type", "application/json"),
        max_body=own.max_body,
        max_wait=own.async_wait_max,
        result_ttl=own.async_result_ttl,
        timeout=own.async_timeout,
        attempts=own.async_attempts,
        max_result=own.async_max_result,
        max_queue=own.async_max_queue,
    )


def publish_routes(home: Home, published: Published) -> None:
    """Put *published* in force for the running gateway, all at once."""
    file = _file(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, json.dumps(asdict(published), indent=1))


class Routes:
    """What is in force, read anew when it has changed."""

    def __init__(self, home: Home) -> None:
        self._file = _file(home)
        self._read_at = (0, 0)
        self._published = Published()

    def now(self) -> Published:
        """What is in force now; nothing before the module published anything."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return self._published
        if (status.st_mtime_ns, status.st_ino) != self._read_at:
            self._published = _published(self._file.read_text("utf-8"))
            self._read_at = (status.st_mtime_ns, status.st_ino)
        return self._published


def _file(home: Home) -> Path:
    return home.run / "jobs" / "routes.json"


def _published(text: str) -> Published:
    fields = json.loads(text)
    routes = tuple(
        JobRoute(**{**route, "keywords": tuple(route["keywords"]), "hosts": tuple(route["hosts"])})
        for route in fields["routes"]
    )
    return Published(routes, tuple(fields["classes"]))


def _is_below(path: str, route: str) -> bool:
    folder = route.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
