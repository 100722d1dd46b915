"""The packages that a plugin requires while it is developed: an environment in the home, made from its requirements.

A release brings them in its own folder; a developer's folder stays as its author has it. Each environment lies in
``var/environments/PLUGIN`` under a name that changes with the requirements and with Python.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import MetworkError, PluginError
from mfext.plugin.environments import (
    REQUIREMENTS,
    environment,
    environments_folder,
    is_needed,
    other_environments,
    wanted_environment,
)

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.plugin.manifest import Plugin

#: Seconds to wait for another command that makes the same environment.
_TURN = 1800.0


def missing(plugin: Plugin) -> MetworkError | None:
    """What is wrong when the requirements of *plugin* are not installed as they are now."""
    if not is_needed(plugin) or wanted_environment(plugin).is_dir():
        return None
    return PluginError(
        "its requirements are not installed" if environment(plugin) is None else "its requirements have changed",
        where=str(plugin.folder / REQUIREMENTS),
        mend='Install them: "make develop" or "make test".',
    )


def prepare(plugin: Plugin, module: Module, home: Home, say: Callable[[str], None]) -> bool:
    """Make the environment of *plugin* where it is not there; True when it was made.

    Args:
        plugin: whose.
        module: its module.
        home: where it is made.
        say: gets a line before something that takes its time.

    Raises:
        MetworkError: the requirements cannot be had, or the home is not one's own.
    """
    if missing(plugin) is None:
        return False
    from mfext.fs.lock import exclusive
    from mfext.fs.tree import remove_tree
    from mfext.lifecycle.home import make_home
    from mfext.plugin.python_requirements import install, locked

    make_home(module, home)
    folder = environments_folder(home, plugin.name)
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Installing the requirements of {plugin.name}, as {plugin.folder / REQUIREMENTS} names them")
    with exclusive(folder / ".lock", f"the requirements of {plugin.name}", "install", timeout=_TURN):
        lock = locked(plugin.folder, folder)
        wanted = wanted_environment(plugin)
        if wanted.is_dir():
            return False
        for left in folder.glob(".unfinished.*"):
            remove_tree(left)
        unfinished = folder / f".unfinished.{secrets.token_hex(4)}"
        try:
            install(lock, unfinished)
            unfinished.rename(wanted)
        finally:
            remove_tree(unfinished)
    return True


def _try_once(plugin: Plugin, module: Module, home: Home, say: Callable[[str], None]) -> None:
    """The same, but not again what could not be had before: each file that is saved would wait for it."""
    note = environments_folder(home, plugin.name) / ".failed"
    with suppress(OSError):
        lacking = missing(plugin)
        if lacking and note.read_text("ascii") == wanted_environment(plugin).name:
            raise lacking
    try:
        prepare(plugin, module, home, say)
    except MetworkError:
        with suppress(OSError):
            note.write_text(wanted_environment(plugin).name, "ascii")
        raise


def prepare_linked(module: Module, home: Home, say: Callable[[str], None]) -> list[MetworkError]:
    """Make the environments of all dev-linked plugins that lack theirs; what hinders one is given."""
    from mfext.plugin.manifest import load_plugin

    told = []
    entries = sorted(home.plugins.iterdir()) if home.plugins.is_dir() else []
    for entry in entries:
        if not entry.is_symlink() or not (entry / REQUIREMENTS).is_file():
            continue
        try:
            plugin = load_plugin(entry, module, home, dev_link=True)
        except MetworkError:
            continue  # what is wrong with it is found by others
        try:
            _try_once(plugin, module, home, say)
        except MetworkError as error:
            told.append(error)
    return told


def forget_others(plugin: Plugin) -> None:
    """Remove the environments of *plugin* that it had before; none of its processes may run with them any more."""
    from mfext.fs.tree import remove_tree

    if is_needed(plugin):
        wanted = wanted_environment(plugin)
        if wanted.is_dir():
            for other in other_environments(wanted, any_python=True):
                remove_tree(other)


def forget(home: Home, name: str) -> None:
    """Remove all environments of the plugin *name*."""
    from mfext.fs.tree import remove_tree

    remove_tree(environments_folder(home, name))
