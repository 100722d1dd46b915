"""Routes: apps -> routing table; overlaps are errors that name both plugins (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mfext.errors import ConfigError, raise_all
from mfserv.app import App

#: Paths that the router itself answers, by what they are for.
RESERVED = {
    "/__health": "health",
    "/__metrics": "metrics",
    "/jobs": "jobs",
    "/processes": "jobs",
    "/conformance": "jobs",
    "/__api": "jobs",
}


@dataclass(frozen=True)
class Route:
    """Where an app answers. Of two routes that match, the one with a host wins, then the longer one."""

    #: Lower-case name of a host, or ``*``.
    host: str
    #: Without a slash at its end.
    path: str
    app: App


def routing_table(apps: Sequence[App]) -> list[Route]:
    """The routes of *apps*, in the order in which they are looked at.

    Raises:
        ConfigError: two apps want one route, or one wants a path of the router (``Several`` for more than one).
    """
    routes = [Route(host, path, app) for app in apps for path in app.routes for host in app.hosts]
    raise_all([*_reserved(routes), *_overlaps(routes)])
    return sorted(routes, key=lambda route: (route.host == "*", route.host, -len(route.path), route.path))


def route_of(host: str, path: str, table: Iterable[Route]) -> Route | None:
    """The route that a request takes, as the router finds it."""
    name = host.partition(":")[0].lower()
    below = f"{path}/"
    for route in table:
        if route.host in (name, "*") and below.startswith(f"{route.path}/"):
            return route
    return None


def _reserved(routes: Sequence[Route]) -> list[ConfigError]:
    return [
        ConfigError(f'"{route.path}" is the router\'s own, for {RESERVED[route.path]}', where=route.app.origin)
        for route in routes
        if route.path in RESERVED
    ]


def _overlaps(routes: Sequence[Route]) -> list[ConfigError]:
    first: dict[tuple[str, str], Route] = {}
    errors = []
    for route in routes:
        other = first.setdefault((route.host, route.path), route)
        if other.app is not route.app:
            at = f"{'' if route.host == '*' else route.host}{route.path or '/'}"
            errors.append(
                ConfigError(
                    f'the route "{at}" is wanted by {other.app.id} and by {route.app.id}',
                    where=route.app.origin,
                    expected="one app for a route",
                    mend=f"Change routes in one of the plugins {other.app.plugin} and {route.app.plugin}.",
                )
            )
    return errors
