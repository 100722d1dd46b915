"""What shows only when a service is looked at as its start does: apps that cannot be imported, programs not there."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import MetworkError, PluginError
from mfext.plugin.author.check import command_faults
from mfext.plugin.author.import_fault import import_fault
from mfext.plugin.python_requirements import environment_for
from mfext.plugin.running import command_words
from mfext.supervision.process import Process
from mfserv.app import App, apps_of
from mfserv.processes import environment_of

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

#: Seconds that the import of an app may take.
TIMEOUT = 60.0


def trial_faults(home: Home, plugin: Plugin) -> list[MetworkError]:
    """What keeps the workers of *plugin* from starting; its code is imported in processes of their own."""
    found: list[MetworkError] = []
    for app in apps_of([plugin]):
        if app.settings.app:
            found += _import_faults(app, plugin, home)
        elif app.settings.cmd:
            # Its own Python is all of what a worker replaces that can be the program, or be what it runs.
            words = command_words(app.settings.cmd, {"PYTHON": sys.executable}, f"[app_{app.name}] cmd")
            process = Process(name=f"[app_{app.name}] cmd", command=words, folder=plugin.folder, plugin=plugin.name)
            found += command_faults(process, plugin, home)
    return found


def _import_faults(app: App, plugin: Plugin, home: Home) -> list[MetworkError]:
    where = f"{plugin.folder / 'config.ini'} [app_{app.name}] app"
    command = [sys.executable, "-m", "mfserv.workers.servers.app_loader", app.settings.app, app.settings.interface]
    try:
        done = subprocess.run(
            command,
            cwd=plugin.folder,
            env={**environment_for(plugin, home), **environment_of(plugin, app.name)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [PluginError(f'"{app.settings.app}" cannot be imported within {TIMEOUT:g} s', where=where)]
    if done.returncode == PluginError.exit_code:  # there is no such object, or it is no app
        return [PluginError(done.stderr.strip().rpartition("\n")[2], where=where)]
    if done.returncode:
        fault = import_fault(done.stderr, plugin.folder, app.settings.app)
        return [PluginError(f'"{app.settings.app}" cannot be imported: {fault.message}', where=where)]
    return []
