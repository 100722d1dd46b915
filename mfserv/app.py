"""App: a plugin's service: what it is, where it answers, on which sockets its workers listen (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.errors import ConfigError, PluginError
from mfserv.config import CONCURRENCY, AppConfig

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

#: Folder of the workers' sockets, below the home's folder of run-time state: paths of sockets must be short.
SOCKETS = "s"
_LONGEST_ID = 60
#: Seconds for which a loop may stand still, at least, where nobody says.
_STALLED = 10.0


@dataclass(frozen=True)
class App:
    """A section ``[app_NAME]`` of a plugin."""

    plugin: str
    name: str
    #: The folder of the plugin.
    folder: Path
    settings: AppConfig
    #: ``path:line`` of the key that says where it answers, for errors.
    origin: str
    #: One line for people.
    title: str = ""
    #: Of the plugin.
    version: str = ""

    @property
    def id(self) -> str:
        """Its name in the whole module."""
        return f"{self.plugin}.{self.name}"

    @property
    def kind(self) -> str:
        """What it is: python, command, static or proxy."""
        one = self.settings
        return "python" if one.app else "command" if one.cmd else "static" if one.static else "proxy"

    @property
    def routes(self) -> tuple[str, ...]:
        """Paths below which it answers, without a slash at their end; '' for everything."""
        return tuple(route.rstrip("/") for route in self.settings.routes or (f"/{self.plugin}",))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Lower-case names of hosts, or ``*``."""
        return tuple(host.lower() for host in self.settings.virtualhosts) or ("*",)

    @property
    def slots(self) -> range:
        """Numbers of its workers; none for a service elsewhere."""
        return range(0 if self.kind == "proxy" else self.settings.workers)

    @property
    def concurrency(self) -> int:
        """Requests that one worker serves in parallel."""
        kind = self.kind if self.kind != "python" else self.settings.interface
        return self.settings.concurrency or CONCURRENCY.get(kind, CONCURRENCY["asgi"])

    @property
    def places(self) -> int:
        """Requests that all workers serve in parallel."""
        return self.concurrency * (len(self.slots) or len(self.settings.upstream))

    def stalled_after(self, job_timeout: float) -> float:
        """Seconds for which the loop of a worker may stand still; 0 = for ever.

        By default no shorter than an answer may take, since code that blocks answers from the loop. *job_timeout*:
        seconds that one attempt at a job may take when the app does not say.
        """
        one = self.settings
        if one.stalled_after >= 0:
            return one.stalled_after
        longest_job = (one.async_timeout or job_timeout) if one.async_ != "off" else 0.0
        return max(_STALLED, one.timeout, longest_job)

    def socket(self, slot: int) -> str:
        """Path of the socket of a worker, relative to the home's folder of run-time state."""
        return f"{SOCKETS}/{short(self.id)}.{slot}"


def apps_of(plugins: Iterable[Plugin]) -> list[App]:
    """The apps of *plugins*, which must be right by themselves."""
    return [app for plugin in plugins for app in _apps(plugin)]


def _apps(plugin: Plugin) -> Iterator[App]:
    for section in plugin.config.names("app_*"):
        settings = plugin.config.section(section, AppConfig)
        yield App(
            plugin=plugin.name,
            name=section.removeprefix("app_"),
            folder=plugin.folder,
            settings=settings,
            origin=f"{_place(plugin, section)} [{section}] routes",
            title=plugin.general.summary,
            version=plugin.version,
        )


def _place(plugin: Plugin, section: str) -> str:
    origin = plugin.config.origin(section, "routes")
    return str(plugin.folder / "config.ini") if origin == "default" else origin


def faults(app: App) -> Iterator[ConfigError | PluginError]:
    """What is wrong with *app* by itself."""
    one = app.settings
    where = f"{app.folder / 'config.ini'} [app_{app.name}]"
    given = [key for key in ("app", "cmd", "static", "upstream") if getattr(one, key)]
    if len(given) != 1:
        found = f"it has {' and '.join(given)}" if given else "nothing says what it is"
        yield ConfigError(found, where=where, expected="one of app, cmd, static and upstream")
    if one.static:
        folder = (app.folder / one.static).resolve()
        if not folder.is_relative_to(app.folder.resolve()):
            yield ConfigError(f'"{one.static}" leads out of the plugin', where=f"{where} static")
        elif not folder.is_dir():
            yield PluginError(f'there is no folder "{one.static}"', where=f"{where} static")
    if one.clients and one.auth == "none":
        yield ConfigError("clients are named but need not say who they are", where=where, mend="Set auth = required.")


def short(name: str) -> str:
    """*name*, or a digest of it where it is too long for the path of a socket."""
    if len(name) <= _LONGEST_ID:
        return name
    return hashlib.sha256(name.encode()).hexdigest()[:_LONGEST_ID]
