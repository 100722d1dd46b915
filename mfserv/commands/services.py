"""The commands of mfserv besides the life-cycle: thin over the files that know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mfext.commands.output import JSON, Form, paint_states, print_json, shows_form
from mfext.environment import Home
from mfext.module import StatusRow
from mfext.section import Config
from mfserv.app import App, apps_of
from mfserv.jobs.commands import counts_by_process, jobs
from mfserv.jobs.config import jobs_config
from mfserv.router.admin_socket import RouterLink

if TYPE_CHECKING:
    from mfext.commands.module import Target as Here


def _site(here: Here) -> tuple[Config, list[App]]:
    """The module's configuration, and the apps of the plugins that are in force."""
    from mfext.lifecycle import lifecycle

    plan = lifecycle.wanted(here.module, here.home)
    return plan.config, apps_of(plan.accepted.plugins)


@click.command()
@shows_form
@click.pass_obj
def routes(here: Here, form: Form) -> None:
    """List the routes and the app of each, first looked at first."""
    from mfserv.router.routes import routing_table

    found = [
        {
            "host": route.host,
            "route": route.path or "/",
            "app": route.app.id,
            "version": route.app.version,
            "kind": route.app.kind,
            "auth": route.app.settings.auth,
            "async": route.app.settings.async_,
            "rate": route.app.settings.rate,
            "openapi": route.path + route.app.settings.openapi if route.app.settings.openapi else "",
        }
        for route in routing_table(_site(here)[1])
    ]
    _show("Routes", found, "route", form)


@click.command()
@shows_form
@click.pass_obj
def apps(here: Here, form: Form) -> None:
    """Show how each app does.

    That is versions, workers, what waits, requests a second, p95, and what failed last.

    Rate, p95 and failed are of the last minute. With --json, each worker by itself, too.
    """
    from mfserv.commands.app_status import app_states, failures, summary

    found = app_states(here.home, _site(here)[1])
    if form.is_json:
        print_json(found)
        return
    _show("Apps", [summary(one) for one in found], "app", form, _APPS_LEAVE)
    for line in (line for one in found for line in failures(one)):
        click.echo(line)


@click.command()
@JSON
@click.argument("names", metavar="APP|PLUGIN...", nargs=-1, required=True)
@click.pass_obj
def reload(here: Here, names: Sequence[str], *, as_json: bool) -> None:
    """Replace the workers of apps, without a request lost.

    It is one after the other, and nobody else is touched.
    """
    from mfext.errors import UsageError, nearest
    from mfserv.workers.rolling_restart import reload as reload_apps

    found = _site(here)[1]
    known = {app.id for app in found} | {app.plugin for app in found}
    for name in names:
        if name not in known:
            raise UsageError(f'there is no app "{name}"', mend=nearest(name, known))
    chosen = [app for app in found if app.id in names or app.plugin in names]
    number = reload_apps(here.home, chosen)
    if as_json:
        print_json({"apps": [app.id for app in chosen], "workers_replaced": number})
    else:
        click.echo(f"{number} worker(s) replaced")


@click.command()
@shows_form
@click.pass_obj
def clients(here: Here, form: Form) -> None:
    """List the clients, how they are known, how much they asked."""
    from mfserv.router.clients import clients as clients_of

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
    _show("Clients", found, "client", form)


@click.command()
@shows_form
@click.pass_obj
def limits(here: Here, form: Form) -> None:
    """Show places and waiting requests of each app and class.

    Also how many of the places are in use.
    """
    from mfserv.commands.app_status import router_counts
    from mfserv.router.clients import classes_of
    from mfserv.router.limits import lane

    config, found_apps = _site(here)
    counts = router_counts(RouterLink(here.home))
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
    _show("Limits", found, "limit", form)


COMMANDS = (routes, apps, reload, clients, limits, jobs)


def state(home: Home, config: Config, found_apps: Sequence[App]) -> Sequence[StatusRow]:
    """What ``status`` tells of the router."""
    from mfserv.commands.app_status import app_states, summary
    from mfserv.config import Tls
    from mfserv.router.activate import ports
    from mfserv.router.certificate import problems
    from mfserv.router.certificate import state as state_of

    listening = [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in ports(config)]
    told = [
        StatusRow("router", "Router", listening),
        StatusRow("apps", "Apps", [summary(one) for one in app_states(home, found_apps)]),
    ]
    if any(app.settings.async_ != "off" for app in found_apps):
        told.append(StatusRow("jobs", "Jobs", _jobs(home, config)))
    certificate = config.section("tls", Tls).certificate
    if certificate:
        held = state_of(home, certificate)
        is_soon = held["state"] == "ends soon"
        told.append(StatusRow("certificate", "Certificate", [held], is_trouble=is_soon, problems=problems(held)))
    return told


def _jobs(home: Home, config: Config) -> list[dict[str, Any]]:
    from mfext.errors import ServiceUnavailable

    try:
        return counts_by_process(home, jobs_config(config))
    except ServiceUnavailable as error:
        return [{"away": error.message}]


#: Columns of apps that leave a narrow terminal, the first of them first: those that say how an app does stay.
_APPS_LEAVE = ("kind", "version", "answered", "in_router", "workers", "rate", "ready")


def _show(
    title: str, found: Sequence[Mapping[str, Any]], noun: str, form: Form, leaving: Sequence[str] | None = None
) -> None:
    """Print *found*; where there is little room, the columns *leaving* leave; None = all but two, the last first."""
    from mfext.table import Column, listing

    if form.is_json:
        print_json(list(found))
        return
    keys = list(found[0]) if found else [noun]
    rows = [[_cell(one[key]) for key in keys] for one in found]
    ranked = [*reversed(leaving)] if leaving is not None else keys[2:]
    leaves = {key: at for at, key in enumerate(ranked, 1)}
    columns = [Column(key.upper().replace("_", " "), least=8, leaves=leaves.get(key, 0)) for key in keys]
    click.echo(listing(title, columns, rows, noun, form.width, paint_states))


def _cell(value: Any) -> str:
    return " ".join(f"{key}:{one}" for key, one in value.items()) if isinstance(value, Mapping) else str(value)
