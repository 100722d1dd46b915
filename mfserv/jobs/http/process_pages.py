"""The pages of OGC API - Processes that say what there is."""

from __future__ import annotations

from mfserv.jobs.http import ogc_processes
from mfserv.jobs.http.handler import Handler
from mfserv.jobs.http.openapi import openapi
from mfserv.jobs.http.problem import Problem, no_such_process

_LIMIT, _MOST = 100, 1_000


class Landing(Handler):
    """``/``."""

    async def get(self) -> None:
        self.set_header("Vary", "Accept")  # browsers get another page here
        self.give(ogc_processes.landing_page())

    head = get


class Api(Handler):
    """``/__api``."""

    async def get(self) -> None:
        self.give(openapi(self.gateway.routes.now().routes))

    head = get


class Conformance(Handler):
    """``/conformance``."""

    async def get(self) -> None:
        self.give(ogc_processes.conformance())

    head = get


class Processes(Handler):
    """``/processes``."""

    async def get(self) -> None:
        limit, offset = self.integer("limit", _LIMIT, 1, _MOST), self.integer("offset", 0, 0, 10**9)
        self.give(ogc_processes.process_list(self.gateway.routes.now().routes, limit, offset))

    head = get


class Process(Handler):
    """``/processes/ID``."""

    async def get(self, name: str) -> None:
        route = self.gateway.routes.now().process(name)
        if route is None:
            raise no_such_process(name)
        self.give(ogc_processes.process_description(route))

    head = get


class Nothing(Handler):
    """What lies below the pages, but is none."""

    def prepare(self) -> None:
        raise Problem(404, "There is nothing at this address")
