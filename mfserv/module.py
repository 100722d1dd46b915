"""mfserv: REST services behind a router.

The path of a request, in the order in which to read the sources::

    app.py                    a plugin's service: what it is, where it answers
    router/routes.py          apps -> routing table; overlaps are errors that name both plugins
    router/clients.py         who asks: keys, tokens, addresses -> class and rate; router/limits.py: rates, lanes
    router/render.py          table, clients, limits -> the router's configuration; router/haproxy.cfg.j2 is its
                              template
    router/activate.py        checks it with HAProxy, and puts it in force without losing a request
    router/keeper.py          keeps HAProxy running, and its access log
    router/body_limit.py      gathers and counts bodies that did not come with their requests; router/chunked.py,
                              router/gathered.py: how
    processes.py              what must run for it: workers and daemons, with their environments
    workers/socket_holder.py  holds the listening socket of every worker
    workers/worker.py         a worker: an app on its socket; servers/ has one file for each kind of app
    workers/registration.py   how a worker comes into the router and leaves it

Beside the path: commands/app_status.py and router/access_log.py, what operators see; workers/rolling_restart.py; jobs/,
requests that are answered later.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import MetworkError, raise_all
from mfext.module import Module, StatusRow
from mfext.section import Config, Schema
from mfext.supervision.process import Process
from mfserv.app import apps_of, faults
from mfserv.config import MODULE_SECTIONS, PLUGIN_SECTIONS
from mfserv.jobs import description
from mfserv.jobs.config import JobsConfig, job_processes
from mfserv.processes import plugin_processes, process_faults
from mfserv.router.metrics import METRICS

if TYPE_CHECKING:
    import click

    from mfext.doctor import Finding
    from mfext.metrics.metric import Sample
    from mfext.plugin.manifest import Plugin


def _folders(_config: Config) -> list[Path]:
    return [Path("var/router"), Path("var/jobs")]


def _processes(home: Home, config: Config, plugins: Sequence[Plugin]) -> list[Process]:
    apps = apps_of(plugins)
    own = [
        Process(name="sockets", command=(sys.executable, "-m", "mfserv.workers.socket_holder"), folder=home.path),
        Process(
            name="bodies", command=(sys.executable, "-m", "mfserv.router.body_limit"), folder=home.path, fingerprint="2"
        ),
        Process(
            name="router",
            command=(sys.executable, "-m", "mfserv.router.keeper"),
            folder=home.path,
            graceful_timeout=max([30.0, *(app.settings.timeout for app in apps)]),
        ),
    ]
    job_timeout = config.section("jobs", JobsConfig).timeout
    takes_jobs = any(app.settings.async_ != "off" for app in apps)
    theirs = [
        process
        for plugin in plugins
        for process in plugin_processes(plugin, [app for app in apps if app.plugin == plugin.name], job_timeout)
    ]
    return [*own, *(job_processes(home, config) if takes_jobs else ()), *theirs]


def _check(home: Home, config: Config, plugins: Sequence[Plugin]) -> None:
    from mfserv.router.activate import check

    apps = apps_of(plugins)
    errors: list[MetworkError] = [error for app in apps for error in (*faults(app), *description.faults(app))]
    for plugin in plugins:
        errors += process_faults(plugin, {app.name: app for app in apps if app.plugin == plugin.name})
    raise_all(errors)
    check(home, config, apps)


def _trial(home: Home, plugin: Plugin) -> Sequence[MetworkError]:
    from mfserv.trial import trial_faults

    return trial_faults(home, plugin)


def _examine(home: Home, config: Config, plugins: Sequence[Plugin]) -> Iterable[Finding]:
    from mfserv.commands.examine import examine

    return examine(home, config, plugins)


def _missing(_home: Home, _config: Config, _plugins: Sequence[Plugin]) -> Sequence[MetworkError]:
    from mfext.errors import ServiceUnavailable
    from mfserv.router.keeper import program

    try:
        program()
    except ServiceUnavailable as error:
        return [error]
    return []


def _publish(home: Home, config: Config, plugins: Sequence[Plugin]) -> None:
    from mfserv.jobs.route import Published, job_routes, publish_routes
    from mfserv.router.activate import put_in_force
    from mfserv.router.clients import classes_of

    apps = apps_of(plugins)
    routes = job_routes(apps)
    publish_routes(home, Published(tuple(routes), tuple(classes_of(config))))
    put_in_force(home, config, apps)


def _samples(home: Home, config: Config) -> Iterable[Sample]:
    from mfserv.current_metrics import samples

    return samples(home, config)


def _haproxy_page(home: Home, query: str) -> str:
    from mfserv.router.haproxy_metrics import page

    return page(home, query)


def _commands() -> Sequence[click.Command]:
    from mfserv.commands.services import COMMANDS

    return COMMANDS


def _status(home: Home, config: Config, plugins: Sequence[Plugin]) -> Sequence[StatusRow]:
    from mfserv.commands.services import state

    return state(home, config, apps_of(plugins))


MODULE = Module(
    name="mfserv",
    summary="REST services behind a router, with limits and jobs.",
    schema=Schema({**MODULE_SECTIONS, "jobs": JobsConfig}),
    plugin_schema=PLUGIN_SECTIONS,
    folders=_folders,
    builtin_plugins=lambda _config: [],
    processes=_processes,
    check=_check,
    trial=_trial,
    missing=_missing,
    publish=_publish,
    commands=_commands,
    examine=_examine,
    status=_status,
    metrics=METRICS,
    samples=_samples,
    metric_pages={"haproxy": _haproxy_page},
    replaces_while_running=True,
)
