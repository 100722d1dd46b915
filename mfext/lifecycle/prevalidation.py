"""Verdicts: what the code of changed plugins says of their ``[custom]``, before what runs is given up for them.

Only the class that a program runs knows its keys. So where something runs and a plugin has changed, its program is
imported elsewhere; if that fails, or the class refuses a value, the plugin goes on as it was accepted last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.environment import Home
from mfext.errors import MetworkError, PluginError
from mfext.lifecycle.last_good import remembered_processes
from mfext.plugin.installed import Installed
from mfext.plugin.manifest import Plugin
from mfext.plugin.running import fingerprint

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.section import Config

#: Gives what the code of a plugin says against it.
Look = Callable[[Plugin], Sequence[MetworkError]]
#: By the name of a plugin: what its code says against it, and of which state of it.
Verdicts = dict[str, dict[str, Any]]


def judge(home: Home, module: Module, config: Config, installed: Sequence[Installed]) -> None:
    """Look at every plugin that runs otherwise than it is now, and keep what is found until the next time."""
    found = verdicts(home, module, config, installed)
    forget(home)
    if found:
        _file(home).write_text(json.dumps(found), encoding="ascii")


def verdicts(home: Home, module: Module, config: Config, installed: Sequence[Installed]) -> Verdicts:
    """What the code of each plugin that runs otherwise than it is now says against it; nothing is kept."""
    from mfext.plugin.author.check import custom_faults

    def look(plugin: Plugin) -> Sequence[MetworkError]:
        with suppress(MetworkError):  # what is wrong already without its code is found by others
            return custom_faults(plugin, home, module, config)
        return ()

    changed = list(_changed(home, installed))
    found: Verdicts = {}
    for plugin, faults in zip(changed, _side_by_side(look, changed), strict=True):
        if faults:
            told = "\n".join(fault.message for fault in faults)
            found[plugin.name] = {"fingerprint": fingerprint(plugin), "fault": told}
    return found


def judged(home: Home, installed: Sequence[Installed], found: Verdicts | None = None) -> list[Installed]:
    """*installed*, with those that were *found* faulty as they are now as faulty ones; None = as it is kept."""
    found = _kept(home) if found is None else found
    return [_judged(one, found.get(one.name)) for one in installed] if found else list(installed)


def forget(home: Home) -> None:
    """Keep no verdict: what starts anew shows by itself whether it runs."""
    _file(home).unlink(missing_ok=True)


def _judged(one: Installed, verdict: dict[str, Any] | None) -> Installed:
    if one.plugin is None or verdict is None or fingerprint(one.plugin) != verdict["fingerprint"]:
        return one
    return replace(one, plugin=None, error=PluginError(verdict["fault"]))


def _changed(home: Home, installed: Sequence[Installed]) -> Iterator[Plugin]:
    running = {process.plugin: process.fingerprint for process in remembered_processes(home) if process.plugin}
    for one in installed:
        if one.plugin and one.name in running and fingerprint(one.plugin) != running[one.name]:
            yield one.plugin


def _side_by_side(look: Look, changed: Sequence[Plugin]) -> list[Sequence[MetworkError]]:
    """What each look finds: every one waits for a Python that starts, so that each core has one."""
    if len(changed) < 2:
        return [*map(look, changed)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [*pool.map(look, changed)]


def _kept(home: Home) -> Verdicts:
    with suppress(OSError, ValueError):
        found: Verdicts = json.loads(_file(home).read_bytes())
        return found
    return {}


def _file(home: Home) -> Path:
    return home.run / "verdicts.json"
