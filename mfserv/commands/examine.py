"""What doctor looks at for mfserv: HAProxy, and where it listens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mfext.doctor import FAULT, OK, Finding, port
from mfext.environment import Home
from mfext.errors import MetworkError
from mfext.section import Config
from mfext.supervision.supervisor import Supervisor
from mfserv.config import Http, Tls
from mfserv.router.keeper import program, version_of

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin


def examine(home: Home, config: Config, _plugins: Sequence[Plugin]) -> Iterator[Finding]:
    """HAProxy, and the ports of the router."""
    yield haproxy()
    is_ours = Supervisor(home).is_running()
    http, tls = config.section("http", Http), config.section("tls", Tls)
    for address in http.address:
        if http.port:
            yield port("router", address, http.port, is_ours)
        if tls.certificate:
            yield port("router, HTTPS", address, tls.port, is_ours)


def haproxy() -> Finding:
    """The router's program."""
    try:
        found = program()
    except MetworkError as error:
        return Finding("HAProxy", FAULT, error.found or error.message, error.mend)
    return Finding("HAProxy", OK, f"{'.'.join(map(str, version_of(found)))}, {found}")
