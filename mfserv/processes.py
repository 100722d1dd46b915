"""What must run for the plugins: the workers of their apps, and their daemons."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mfext.errors import ConfigError, MetworkError, nearest
from mfext.plugin.daemon import daemon_names, daemon_processes
from mfext.plugin.python_requirements import plugin_environment
from mfext.plugin.running import command_words, fingerprint
from mfext.section import FreeSection
from mfext.supervision.process import Process
from mfserv.app import App
from mfserv.worker_spec import Spec

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

#: What may stand in cmd.
PLACEHOLDERS = ("PYTHON", "FD", "SOCKET", "PORT", "PLUGIN", "APP", "SLOT", "ROUTE", "VERSION")
_ENVIRONMENT = "environment"
#: Variables by which MetWork itself speaks to what it starts.
_OURS = re.compile(r"METWORK_.*|MFMODULE|LISTEN_(PID|FDS)|PYTHONPATH")


def plugin_processes(plugin: Plugin, apps: Iterable[App], job_timeout: float = 0.0) -> Iterator[Process]:
    """The workers of *apps*, all of *plugin*, and its daemons.

    *job_timeout*: seconds that one attempt at a job may take when its app does not say.
    """
    changes_with = fingerprint(plugin)  # once: it looks at every file and every key
    for app in apps:
        yield from _workers(app, plugin, changes_with, job_timeout)
    yield from daemons(plugin)


def _workers(app: App, plugin: Plugin, changes_with: str, job_timeout: float) -> Iterator[Process]:
    """The workers of *app*, one for each of its slots."""
    one = app.settings
    environment = {**plugin_environment(plugin), **environment_of(plugin, app.name)}
    for slot in app.slots:
        spec = Spec(
            app=app.id,
            slot=slot,
            kind=one.interface if app.kind == "python" else app.kind,
            target=one.app or one.cmd or one.static,
            socket=app.socket(slot),
            concurrency=app.concurrency,
            max_body=one.max_body,
            health=one.health,
            graceful_timeout=one.graceful_timeout,
            max_age=one.max_age,
            debug=one.debug,
            values={
                "PLUGIN": app.plugin,
                "APP": app.name,
                "SLOT": str(slot),
                "ROUTE": app.routes[0],
                "VERSION": app.version,
            },
        )
        yield Process(
            name=worker_name(app, slot),
            command=(sys.executable, "-m", "mfserv.workers.worker", spec.as_text()),
            folder=app.folder,
            plugin=app.plugin,
            autostart=one.autostart,
            graceful_timeout=one.graceful_timeout,
            stalled_after=app.stalled_after(job_timeout),
            rlimits=one.rlimits,
            cgroup=one.cgroup,
            environment=environment,
            fingerprint=changes_with,
        )


def worker_name(app: App, slot: int) -> str:
    """What the supervisor calls a worker."""
    return f"app.{app.id}.{slot}"


def daemons(plugin: Plugin) -> list[Process]:
    """The daemons of *plugin*."""
    return daemon_processes(plugin, {name: environment_of(plugin, name) for name in daemon_names(plugin)})


def environment_of(plugin: Plugin, name: str) -> dict[str, str]:
    """The variables of an app or daemon of *plugin*: ``[environment]``, and ``[environment_NAME]``, which wins."""
    found: dict[str, str] = {}
    for section in (_ENVIRONMENT, f"{_ENVIRONMENT}_{name}"):
        if section in plugin.config:
            found |= _variables(plugin, section)
    return found


def process_faults(plugin: Plugin, apps: Mapping[str, App]) -> Iterator[MetworkError]:
    """What is wrong with commands and environments of *plugin*, whose apps are *apps* by name."""
    names = {*apps, *daemon_names(plugin)}
    for section in plugin.config.names(f"{_ENVIRONMENT}*"):
        origin = plugin.config.section(section, FreeSection).origin
        name = section.removeprefix(_ENVIRONMENT).removeprefix("_")
        if name and name not in names:
            hint = nearest(name, names)
            yield ConfigError(f'there is no app or daemon "{name}"', where=f"{origin} [{section}]", mend=hint)
        for key in _variables(plugin, section):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) or _OURS.fullmatch(key):
                yield ConfigError(f'"{key}" cannot be set', where=f"{origin} [{section}] {key}")
    for app in apps.values():
        yield from _command_faults(app, f"{plugin.config.origin(f'app_{app.name}', 'cmd')} [app_{app.name}] cmd")
    try:
        daemons(plugin)
    except MetworkError as error:
        yield error


def _command_faults(app: App, where: str) -> Iterator[MetworkError]:
    command = app.settings.cmd
    if not command:
        return
    try:
        command_words(command, {}, where)
    except MetworkError as error:
        yield error
    unknown = [name for name in re.findall(r"\{([A-Z_]+)\}", command) if name not in PLACEHOLDERS]
    for name in unknown:
        mend = nearest(name, PLACEHOLDERS)
        yield ConfigError(f"{{{name}}} stands for nothing", where=where, expected=", ".join(PLACEHOLDERS), mend=mend)
    if "{SOCKET}" in command and "{PORT}" in command:
        yield ConfigError("{SOCKET} and {PORT} exclude each other", where=where)


def _variables(plugin: Plugin, section: str) -> Mapping[str, str]:
    return plugin.config.section(section, FreeSection).values
