"""What is installed in a home: the one owner of ``var/plugins``."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home, home_of
from mfext.errors import MetworkError, PluginError, UsageError, nearest, raise_all
from mfext.module import module_names
from mfext.plugin.manifest import Plugin, load_plugin

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.section import Config


@dataclass(frozen=True)
class Installed:
    """A place where a plugin is installed: either it is a plugin, or there is an error."""

    #: Of the plugin; of the place when the plugin cannot be read.
    name: str
    #: The entry in ``var/plugins``, or the folder of a built-in plugin.
    place: Path
    #: A link to a folder that a developer works in.
    dev_link: bool
    #: Brought by the module itself.
    builtin: bool
    plugin: Plugin | None = None
    error: MetworkError | None = None


def installed_plugins(home: Home, module: Module, config: Config) -> list[Plugin]:
    """Every installed plugin, sorted by name.

    Raises:
        MetworkError: some cannot be read, or two have one name; all such errors at once.
    """
    found = survey(home, module, config)
    raise_all(_distinct(one.error for one in found if one.error))
    return [one.plugin for one in found if one.plugin]


def survey(
    home: Home, module: Module, config: Config, *, known: Sequence[Installed] = (), changed: Collection[str] = ()
) -> list[Installed]:
    """Every place where a plugin is installed, sorted by name; a broken one hides no other.

    Of two plugins with one name neither counts as a plugin: each place has the error that names both.

    Args:
        home: where they are installed.
        module: whose plugins they are.
        config: that of the module, which says what is built in.
        known: what was found just before: of that, plugins are not read once more.
        changed: names of those that are, since they are others now.
    """
    before = {one.place: one for one in known if one.plugin and not {one.name, one.place.name} & {*changed}}
    places = [_place(folder, builtin=True) for folder in module.builtin_plugins(config)]
    places += [_place(entry) for entry in _entries(home)]
    loaded = [before.get(place.place) or _load(place, module, home) for place in places]
    return sorted(_without_doubles(loaded), key=lambda one: (one.name, str(one.place)))


def find(which: str, places: Sequence[Installed]) -> Installed:
    """The place among *places* that *which* means: name of the plugin, or path of its folder (with a ``/``, or ``.``).

    Raises:
        UsageError: there is none, or several have this name.
    """
    if "/" in which or which in (".", ".."):
        folder = Path(which).resolve()
        found = [one for one in places if folder in (one.place.absolute(), one.place.resolve())]
    else:
        found = [one for one in places if one.name == which]
    if len(found) > 1:
        raise UsageError(f'several plugins are called "{which}"', expected=" or ".join(str(one.place) for one in found))
    if not found:
        mend = _elsewhere(which, places) or nearest(which, {one.name for one in places})
        raise UsageError(f'the plugin "{which}" is not installed', mend=mend)
    return found[0]


def _elsewhere(which: str, places: Sequence[Installed]) -> str:
    """A hint at the module in whose home, other than that of *places*, a plugin *which* is installed; '' = none."""
    for name in module_names():
        entry = home_of(name).plugins / which
        # Others may well not look into that home.
        if os.path.lexists(entry) and entry not in [one.place for one in places]:
            return f'It is a plugin of {name}: "metwork shell {name}".'
    return ""


def chosen(which: str, home: Home, module: Module) -> tuple[Plugin, bool]:
    """The plugin that *which* means, installed or any folder, and whether it is installed.

    Raises:
        MetworkError: there is none, or it is broken.
    """
    from mfext.configuration.module_config import module_config

    places = survey(home, module, module_config(module, home))
    try:
        one = find(which, places)
    except UsageError:
        if not Path(which).exists():
            raise
        return load_plugin(Path(which), module, home), False
    if one.plugin:
        return one.plugin, True
    raise one.error or PluginError(where=str(one.place))


def same_name(name: str, folders: Sequence[Path]) -> PluginError:
    """The error that several *folders* hold plugins called *name*."""
    return PluginError(
        f'plugins with one name "{name}": {" and ".join(map(str, folders))}',
        expected="a name of its own for each",
        mend="Change [general] name of one, or uninstall it.",
    )


def _entries(home: Home) -> list[Path]:
    """What lies in ``var/plugins``; dot names are of work in progress."""
    if not home.plugins.is_dir():
        return []
    return sorted(entry for entry in home.plugins.iterdir() if not entry.name.startswith("."))


def _place(entry: Path, builtin: bool = False) -> Installed:
    return Installed(entry.name, entry, dev_link=not builtin and entry.is_symlink(), builtin=builtin)


def _load(place: Installed, module: Module, home: Home) -> Installed:
    try:
        if place.dev_link and not place.place.exists():
            raise _dangling(place)
        plugin = load_plugin(place.place, module, home, dev_link=place.dev_link, builtin=place.builtin)
    except MetworkError as error:
        return replace(place, error=error)
    return replace(place, name=plugin.name, plugin=plugin)


def _dangling(place: Installed) -> MetworkError:
    return PluginError(
        f"the folder that it was developed in is gone: {place.place.readlink()}",
        where=str(place.place),
        mend=f'Remove the dev-link with "plugins.uninstall {place.name}".',
    )


def _without_doubles(loaded: Iterable[Installed]) -> list[Installed]:
    by_name: dict[str, list[Installed]] = defaultdict(list)
    for one in loaded:
        by_name[one.name].append(one)
    return [one for same in by_name.values() for one in (same if len(same) == 1 else _doubles(same))]


def _doubles(same: Sequence[Installed]) -> list[Installed]:
    error = same_name(same[0].name, [one.place.resolve() for one in same])
    return [replace(one, plugin=None, error=one.error or error) for one in same]


def _distinct(errors: Iterable[MetworkError]) -> list[MetworkError]:
    """*errors* without repetition: both places of a double name have the same one."""
    return list(dict.fromkeys(errors))
