"""The commands of mfserv besides the life-cycle: thin over the files that know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mfext.commands import JSON, print_json
from mfext.environment import Home
from mfext.section import Config
from mfserv.app import App, apps_of
from mfserv.haproxynames import server
from mfserv.jobs.commands import counts_by_process, jobs
from mfserv.jobs.config import jobs_config
from mfserv.routerlink import RouterLink

if TYPE_CHECKING:
    from mfext.modulecommands import Target as Here


def _site(here: Here) -> tuple[Config, list[App]]:
    """The module's configuration, and the apps of the plugins that are in force."""
    from mfext import lifecycle

    plan = lifecycle.wanted(here.module, here.home)
    return plan.config, apps_of(plan.accepted.plugins)


@click.command()
@JSON
@click.pass_obj
def routes(here: Here, as_json: bool) -> None:
    """List the routes in the order in which they are looked at, and the app that answers each."""
    from mfserv.routes import routing_table

    found = [
        {
            "host": route.host,
            "route": route.path or "/",
            "app": route.app.id,
            "kind": route.app.kind,
            "auth": route.app.settings.auth,
            "async": route.app.settings.async_,
            "rate": route.app.settings.rate,
            "openapi": route.path + route.app.settings.openapi if route.app.settings.openapi else "",
        }
        for route in routing_table(_site(here)[1])
    ]
    _show("Routes", found, "route", as_json)


@click.command()
@JSON
@click.pass_obj
def apps(here: Here, as_json: bool) -> None:
    """Show each app with its workers, what they have in hand, what waits, and what was answered so far."""
    counts = _counts(RouterLink(here.home))
    _show("Apps", [_app(app, counts) for app in _site(here)[1]], "app", as_json)


@click.command()
@JSON
@click.pass_obj
def clients(here: Here, as_json: bool) -> None:
    """List the clients that are configured, how they are known, and how much they asked of late."""
    from mfserv.clients import clients as clients_of

    known = clients_of(_site(here)[0])
    link = RouterLink(here.home)
    periods = {0, *(one.rate.period for one in (*known.named, known.others) if one.rate)}
    used = {row["key"]: row for period in sorted(periods) for row in link.table(f"clients_{period}")}
    named = {client.name: client for client in known.named}
    found = []
    for name in [*named, *(other for other in sorted(used) if other not in named)]:
        client = named.get(name, known.others)
        found.append(
            {
                "client": name,
                "class": client.class_,
                "rate": f"{client.rate.requests}/{client.rate.period}s" if client.rate else "",
                "keys": len(client.keys),
                "subjects": len(client.subjects),
                "addresses": ", ".join(client.addresses),
                "requests_10s": int(used.get(name, {}).get("http_req_rate(10000)", 0)),
            }
        )
    _show("Clients", found, "client", as_json)


@click.command()
@JSON
@click.pass_obj
def limits(here: Here, as_json: bool) -> None:
    """Show for each app and class the places it may have, those in use, and the requests that wait."""
    from mfserv.clients import classes_of
    from mfserv.limits import lane

    config, found_apps = _site(here)
    counts = _counts(RouterLink(here.home))
    found = []
    for app in found_apps:
        for name, one in classes_of(config).items():
            own = counts.get((f"lane.{name}.{app.id}" if one.share < 100 else f"app.{app.id}", "BACKEND"), {})
            found.append(
                {
                    "app": app.id,
                    "class": name,
                    "order": one.order,
                    "places": lane(app.places, one.share),
                    "of": app.places,
                    "waiting": int(own.get("qcur") or 0),
                    "max_queue": app.settings.max_queue,
                    "app_rate": app.settings.rate,
                }
            )
    _show("Limits", found, "limit", as_json)


COMMANDS = (routes, apps, clients, limits, jobs)


def state(home: Home, config: Config, found_apps: Sequence[App]) -> Mapping[str, Any]:
    """What ``status`` tells of the router."""
    from mfserv.certificate import state as certificate_state
    from mfserv.config import Tls
    from mfserv.putinforce import ports

    counts = _counts(RouterLink(home))
    told: dict[str, Any] = {
        "Router": [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in ports(config)],
        "Apps": [_app(app, counts) for app in found_apps],
    }
    if any(app.settings.async_ != "off" for app in found_apps):
        told["Jobs"] = _jobs(home, config)
    certificate = config.section("tls", Tls).certificate
    if certificate:
        told["Certificate"] = [certificate_state(home, certificate)]
    return told


def _jobs(home: Home, config: Config) -> list[dict[str, Any]]:
    from mfext.errors import ServiceUnavailable

    try:
        return counts_by_process(home, jobs_config(config))
    except ServiceUnavailable as error:
        return [{"away": error.message}]


def _app(app: App, counts: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, Any]:
    backend = f"app.{app.id}"
    total = counts.get((backend, "BACKEND"), {})
    names = [server(app.id, slot).partition("/")[2] for slot in app.slots]
    up = [name for name in names if counts.get((backend, name), {}).get("status", "").startswith(("UP", "no check"))]
    return {
        "app": app.id,
        "kind": app.kind,
        "workers": len(names),
        "in_router": len(up),
        "in_hand": int(total.get("scur") or 0),
        "waiting": int(total.get("qcur") or 0),
        "answered": {code: int(total.get(f"hrsp_{code}") or 0) for code in ("2xx", "3xx", "4xx", "5xx")},
    }


def _counts(link: RouterLink) -> dict[tuple[str, str], dict[str, str]]:
    """What the router counts, by backend and server; nothing when it does not run."""
    from mfext.errors import ServiceUnavailable

    try:
        return {(row["pxname"], row["svname"]): row for row in link.statistics()}
    except ServiceUnavailable:
        return {}


def _show(title: str, found: Sequence[Mapping[str, Any]], noun: str, as_json: bool) -> None:
    from mfext.table import listing

    if as_json:
        print_json(list(found))
        return
    columns = list(found[0]) if found else [noun]
    rows = [[_cell(one[column]) for column in columns] for one in found]
    click.echo(listing(title, [column.upper().replace("_", " ") for column in columns], rows, noun))


def _cell(value: Any) -> str:
    return " ".join(f"{key}:{one}" for key, one in value.items()) if isinstance(value, Mapping) else str(value)
