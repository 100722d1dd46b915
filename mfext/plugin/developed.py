"""The packages that a plugin requires while it is developed: an environment in the home, made from its requirements.

A release brings them in its own folder; a developer's folder stays as its author has it. Each environment lies in
``var/environments/PLUGIN`` under a name that changes with the requirements and with Python.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import MetworkError, PluginError

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.plugin.manifest import Plugin

#: What a plugin says it needs; and what that came to mean, with all that it needs in turn: made by us, for its author.
REQUIREMENTS, LOCK = "requirements.txt", "requirements.lock"
#: Where they lie in a released plugin.
VENDORED = ".requirements"
#: Seconds to wait for another command that makes the same environment.
_TURN = 1800.0


def environments_folder(home: Home, name: str) -> Path:
    """Where the environments of the plugin *name* are made."""
    return home.var / "environments" / name


def is_needed(plugin: Plugin) -> bool:
    """Whether *plugin* gets its packages from an environment: it has requirements and does not bring them."""
    if plugin.environments is None or (plugin.folder / VENDORED).is_dir():
        return False
    try:
        lines = (plugin.folder / REQUIREMENTS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def environment(plugin: Plugin) -> Path | None:
    """The environment that *plugin* runs with: that of its requirements, else the one that was made last, if any."""
    if not is_needed(plugin):
        return None
    wanted = _wanted(plugin)
    return wanted if wanted.is_dir() else max(_others(wanted), key=_time, default=None)


def missing(plugin: Plugin) -> MetworkError | None:
    """What is wrong when the requirements of *plugin* are not installed as they are now."""
    if not is_needed(plugin) or _wanted(plugin).is_dir():
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
    from mfext.lifecycle.lifecycle import make_home
    from mfext.plugin.requirements import install, locked

    make_home(module, home)
    folder = environments_folder(home, plugin.name)
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Installing the requirements of {plugin.name}, as {plugin.folder / REQUIREMENTS} names them")
    with exclusive(folder / ".lock", f"the requirements of {plugin.name}", "install", timeout=_TURN):
        lock = locked(plugin.folder, folder)
        wanted = _wanted(plugin)
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
        if lacking and note.read_text("ascii") == _wanted(plugin).name:
            raise lacking
    try:
        prepare(plugin, module, home, say)
    except MetworkError:
        with suppress(OSError):
            note.write_text(_wanted(plugin).name, "ascii")
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
        wanted = _wanted(plugin)
        if wanted.is_dir():
            for other in _others(wanted, any_python=True):
                remove_tree(other)


def forget(home: Home, name: str) -> None:
    """Remove all environments of the plugin *name*."""
    from mfext.fs.tree import remove_tree

    remove_tree(environments_folder(home, name))


def _wanted(plugin: Plugin) -> Path:
    """The environment for the requirements as they are now, and for the versions that they came to mean."""
    import hashlib

    from mfext.plugin.requirements import python_tag

    digest = hashlib.sha256()
    for name in (REQUIREMENTS, LOCK):
        with suppress(OSError):
            digest.update(f"{name}\n".encode() + (plugin.folder / name).read_bytes())
    return (plugin.environments or Path()) / f"{python_tag()}-{digest.hexdigest()[:16]}"


def _others(wanted: Path, *, any_python: bool = False) -> list[Path]:
    """The environments beside *wanted*, for the same Python; what is being made has a name with a dot."""
    tag = r"[\w-]+" if any_python else re.escape(wanted.name.rpartition("-")[0])
    found = wanted.parent.iterdir() if wanted.parent.is_dir() else ()
    return [path for path in found if path != wanted and re.fullmatch(rf"{tag}-[0-9a-f]{{16}}", path.name)]


def _time(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
