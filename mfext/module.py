"""Module: what a module declares to mfext, and the door through which mfext finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.environment import Home
from mfext.errors import MetworkError, UsageError, nearest

if TYPE_CHECKING:
    import click

    from mfext.doctor import Finding
    from mfext.metrics.metric import Metric, Sample
    from mfext.plugin.manifest import Plugin
    from mfext.section import Config, Schema
    from mfext.supervision.process import Process


@dataclass(frozen=True)
class StatusRow:
    """What a module tells in its ``status`` of one thing."""

    #: Stable name of it in ``--json``, in lower case.
    key: str
    #: For people.
    title: str
    #: JSON values, one for each line; none = there is nothing to tell.
    rows: Sequence[Any] = ()
    #: What people read instead of the rows; none = the rows themselves.
    lines: Sequence[str] = ()
    #: Somebody has to look at it: with ``--strict`` the exit status tells.
    is_trouble: bool = False
    #: What of it is not as configured, one sentence each: the exit status tells in any case.
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Module:
    """All that mfext knows of a module. Every callable is pure but ``publish``."""

    #: Lower-case name.
    name: str
    #: One line for ``metwork --help``.
    summary: str
    #: Sections of the module's own ``config/config.ini``.
    schema: Schema
    #: Sections of its plugins' ``config.ini`` besides ``[general]`` and ``[custom]``.
    plugin_schema: Schema
    #: Folders that must exist below the home, relative to it.
    folders: Callable[[Config], Sequence[Path]]
    #: Folders of the built-in plugins that the configuration asks for.
    builtin_plugins: Callable[[Config], Sequence[Path]]
    #: Everything that must run.
    processes: Callable[[Home, Config, Sequence[Plugin]], Sequence[Process]]
    #: Errors that show only when all plugins are looked at together (unknown destinations, ...); raises them.
    check: Callable[[Home, Config, Sequence[Plugin]], None]
    #: Put in force what running processes take without a restart (the switch's rules, ...); returns when it is.
    publish: Callable[[Home, Config, Sequence[Plugin]], None]
    #: Commands of the module besides the life-cycle: ``metwork NAME COMMAND`` and ``NAME.COMMAND``.
    commands: Callable[[], Sequence[click.Command]]
    #: What more is wrong with one plugin, all of which is valid, beside the others: what its own test data find, ...
    check_plugin: Callable[[Home, Config, Plugin, Sequence[Plugin]], Sequence[MetworkError]] = field(
        default=lambda *_: ()
    )
    #: What keeps one plugin, all of which is valid, from starting as it is configured here, and shows only when its
    #: code is imported. ``plugins.check`` asks; a release, which is for other machines, does not, nor does an
    #: installation, which starts it and goes back.
    trial: Callable[[Home, Plugin], Sequence[MetworkError]] = field(default=lambda *_: ())
    #: What must be on this machine for the plugins to do their work and is not, besides commands and the code of
    #: plugins: libraries, programs. It hinders the start, and ``status`` and ``plugins.check`` name it.
    missing: Callable[[Home, Config, Sequence[Plugin]], Sequence[MetworkError]] = field(default=lambda *_: ())
    #: What is valid and does not work as it stands, of the module's configuration and of the plugins: ``develop``,
    #: ``plugins.install`` and ``plugins.check`` warn of it.
    warnings: Callable[[Home, Config, Sequence[Plugin]], Sequence[MetworkError]] = field(default=lambda *_: ())
    #: More that ``doctor`` looks at: ports, other machines, what only this module needs of the machine.
    examine: Callable[[Home, Config, Sequence[Plugin]], Iterable[Finding]] = field(default=lambda *_: ())
    #: More that ``status`` shows.
    status: Callable[[Home, Config, Sequence[Plugin]], Sequence[StatusRow]] = field(default=lambda *_: ())
    #: What its processes count, and what ``samples`` gives.
    metrics: Sequence[Metric] = ()
    #: Those of its metrics that nobody counts, as they are at the moment: what waits, ages.
    samples: Callable[[Home, Config], Iterable[Sample]] = field(default=lambda *_: ())
    #: Metrics that a program of others shows, as its page has them, by a name: they are at ``/metrics/NAME``; gets the
    #: query of who asks.
    metric_pages: Mapping[str, Callable[[Home, str], str]] = field(default_factory=dict)
    #: Its processes go on while the files of their plugin are replaced: they keep to their working folder, which is
    #: moved away as it is, until each is replaced in its turn. Others end first, so that none sees two versions.
    replaces_while_running: bool = False
    #: What waits for a plugin, one phrase each; gets its name.
    waiting: Callable[[Home, Config, str], Sequence[str]] = field(default=lambda *_: ())
    #: Refuse, while nothing is changed yet, to uninstall a plugin for which something waits without a place to go;
    #: gets the name of the plugin, the ``PLUGIN/STEP`` that shall have it ('' = none), and whether to quarantine it.
    before_uninstall: Callable[[Home, Config, str, str, bool], None] = field(default=lambda *_: None)
    #: Once the plugin does not run any more, put what waits for it where it shall go; same arguments.
    after_uninstall: Callable[[Home, Config, str, str, bool], None] = field(default=lambda *_: None)


def module_names() -> list[str]:
    """Names of the modules whose software is here, sorted.

    One distribution announces all modules, so that a module counts only when its top package is there.
    """
    # Step processes read the declaration of their module but never look for others: these imports are dear.
    import importlib.util
    from importlib.metadata import entry_points

    return sorted(
        {
            point.name
            for point in entry_points(group="metwork.modules")
            if importlib.util.find_spec(point.value.partition(":")[0].partition(".")[0])
        }
    )


def has_module(name: str) -> bool:
    """Whether the software of the module *name* (lower case) is here, without looking for all others."""
    import importlib.util

    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    folders = spec.submodule_search_locations if spec else None
    return any(Path(folder, "module.py").is_file() for folder in folders or ())


def load_module(name: str) -> Module:
    """The module called *name*, in any case.

    Raises:
        UsageError: there is no such module here.
    """
    import importlib

    own = name.lower()
    module = getattr(importlib.import_module(f"{own}.module"), "MODULE", None) if has_module(own) else None
    if not isinstance(module, Module):
        raise UsageError(f'there is no module "{name}" here', mend=nearest(own, module_names()))
    return module
