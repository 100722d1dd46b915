"""Which plugins are in force: those that are right now, and what was accepted last for those that are not.

So a plugin whose configuration breaks goes on as it was accepted last: its rules, its queue and the plugins that hand
files to it stay as they are, and nobody else feels it.
"""

from __future__ import annotations

import pickle  # nosec: of a file in our own home, which only its owner can write
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfext.environment import Home
from mfext.errors import MetworkError, Several
from mfext.fs.atomic import replace_file
from mfext.log import get_logger
from mfext.plugin.installed import Installed
from mfext.plugin.manifest import Plugin
from mfext.supervision.process import Process

log = get_logger(__name__)

#: Raises what is wrong with plugins when they are looked at together.
Check = Callable[[Sequence[Plugin]], None]


@dataclass(frozen=True)
class Accepted:
    """What is to be in force."""

    #: Sorted by name.
    plugins: tuple[Plugin, ...]
    #: What is wrong with installed plugins as they are now, by name.
    refused: Mapping[str, MetworkError]


def accept(found: Sequence[Installed], check: Check, recall: Callable[[], Mapping[str, Plugin]]) -> Accepted:
    """The plugins among *found* that can be in force together.

    Args:
        found: all places where a plugin is installed.
        check: looks at all plugins together.
        recall: what was accepted last, by name; asked for only when something is wrong.

    Raises:
        MetworkError: *check* refuses, and no single plugin is to blame.
    """
    refused = {one.name: one.error for one in found if one.error}
    plugins = {one.name: one.plugin for one in found if one.plugin}
    errors = _errors(check, plugins)
    before = recall() if refused or errors else {}
    for one in found:
        if one.error and _is_same(one, before.get(one.name)):
            plugins[one.name] = before[one.name]
    while errors := _errors(check, plugins):
        name, remedy, blamed = _culprit(check, plugins, errors, before)
        refused.setdefault(name, blamed)
        plugins = remedy
    return Accepted(tuple(plugins[name] for name in sorted(plugins)), refused)


def in_force(
    processes: Sequence[Process], accepted: Accepted, recall: Callable[[], Sequence[Process]]
) -> list[Process]:
    """*processes*, which are those of *accepted*, with those of plugins that go on as before left as they run.

    A process of such a plugin that is started anew would find the faulty configuration and end.
    """
    going_on = {plugin.name for plugin in accepted.plugins} & accepted.refused.keys()
    if not going_on:
        return list(processes)
    before = [one for one in recall() if one.plugin in going_on]
    return [*(one for one in processes if one.plugin not in going_on), *before]


def remember(home: Home, plugins: Sequence[Plugin], processes: Sequence[Process]) -> None:
    """Keep *plugins* as what was accepted last; on a full disk they are not kept, and that is said."""
    file = _file(home)
    try:
        # Configuration holds passwords.
        replace_file(file, pickle.dumps((tuple(plugins), tuple(processes))), mode=0o600)
    except OSError as error:
        log.warning("the accepted plugins cannot be kept", path=file, error=error)


def remembered(home: Home) -> dict[str, Plugin]:
    """The plugins that were accepted last, by name; none when that is not known."""
    return {plugin.name: plugin for plugin in _kept(home)[0]}


def remembered_processes(home: Home) -> Sequence[Process]:
    """The processes that were to run with the plugins accepted last."""
    return _kept(home)[1]


#: Where classes were in earlier versions of the software, whose homes go on.
_WERE = {
    "mfext.process": "mfext.supervision.process",
    "mfext.configfile": "mfext.configuration.inifile",
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(_WERE.get(module, module), name)


def _kept(home: Home) -> tuple[Sequence[Plugin], Sequence[Process]]:
    try:
        with _file(home).open("rb") as file:
            plugins, processes = _Unpickler(file).load()  # nosec
    except Exception:  # whatever a file of another version of the software holds, it is of no use
        return (), ()
    return plugins, processes


def _file(home: Home) -> Path:
    return home.var / "accepted"


def _is_same(place: Installed, before: Plugin | None) -> bool:
    return before is not None and before.folder.is_dir() and place.place.resolve() == before.folder


def _errors(check: Check, plugins: Mapping[str, Plugin]) -> tuple[MetworkError, ...]:
    try:
        check([plugins[name] for name in sorted(plugins)])
    except Several as several:
        return several.errors
    except MetworkError as error:
        return (error,)
    return ()


def _culprit(
    check: Check, plugins: dict[str, Plugin], errors: tuple[MetworkError, ...], before: Mapping[str, Plugin]
) -> tuple[str, dict[str, Plugin], MetworkError]:
    """A plugin whose present form makes some of *errors*, what is left in force, and the errors that it makes.

    New plugins are looked at first: of two that are in each other's way, the one that was there first stays. One
    without which less is wrong is better than one that others need.
    """
    second_best = None
    for name in sorted(plugins, key=lambda name: (plugins[name].builtin, name in before, name)):
        for remedy in _remedies(name, plugins, before):
            left = {_fault(error) for error in _errors(check, remedy)}
            made = [error for error in errors if _fault(error) not in left]
            if made:
                found = name, remedy, made[0] if len(made) == 1 else Several(made)
                if len(left) < len(errors):
                    return found
                second_best = second_best or found
    if second_best is None:
        raise errors[0] if len(errors) == 1 else Several(errors)
    return second_best


def _fault(error: MetworkError) -> tuple[str, str]:
    """What makes an error the same one although its hint is another, since it lists what else there is."""
    return error.where, error.found


def _remedies(name: str, plugins: dict[str, Plugin], before: Mapping[str, Plugin]) -> list[dict[str, Plugin]]:
    """What could be in force instead of *plugins*: with *name* as it was accepted last, or without it."""
    without = {other: plugin for other, plugin in plugins.items() if other != name}
    old = before.get(name)
    if old is None or old is plugins[name] or old.folder != plugins[name].folder:
        return [without]
    return [{**without, name: old}, without]
