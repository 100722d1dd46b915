"""Import a plugin's program in a process of its own and check ``[custom]`` against what its class declares there.

``python -m mfext.plugin.probe FOLDER PROGRAM CLASS``: a fault is told on stdout, with the exit status of its error;
an import that fails leaves its stack on stderr, as any program would.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

from mfext.environment import Home, current_module, home_of
from mfext.errors import ConfigError, MetworkError, PluginError
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.plugin.requirements import environment_for
from mfext.section import Section

#: Seconds that the import of a plugin may take.
TIMEOUT = 60.0


def probe(plugin: Plugin, home: Home, program: Path, name: str) -> MetworkError | None:
    """What is wrong with *plugin* as the class *name* of its *program* sees it; the plugin's code runs elsewhere.

    Overrides that the class does not know are added to those that are unused.
    """
    command = [sys.executable, "-m", "mfext.plugin.probe", str(plugin.folder), str(program), name]
    command += [] if plugin.overridden else ["own"]
    try:
        done = subprocess.run(
            command,
            cwd=plugin.folder,
            env=environment_for(plugin, home),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return PluginError(f"cannot be imported within {TIMEOUT:g} s", where=str(program))
    if done.returncode == ConfigError.exit_code:
        return ConfigError(done.stdout.strip())
    if done.returncode:
        return PluginError(f"cannot be imported:\n{done.stderr.strip()}", where=str(program))
    plugin.config.unused.extend(ConfigError(line) for line in done.stdout.splitlines())
    return None


def main() -> None:
    """Do in this process what ``probe`` asks for."""
    folder, program, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    # Its prints are none of our answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    custom = getattr(runpy.run_path(program, run_name="metwork_probe")[name], "Custom", None)
    if not (isinstance(custom, type) and issubclass(custom, Section)):
        return
    from mfext.module import load_module

    module = load_module(current_module())
    try:
        config = load_plugin(folder, module, home_of(module.name), overridden=len(sys.argv) < 5).config
        known = len(config.unused)
        config.section("custom", custom)
    except MetworkError as error:
        os.write(answer, error.message.encode(errors="backslashreplace"))
        raise SystemExit(ConfigError.exit_code) from None
    os.write(answer, "\n".join(one.message for one in config.unused[known:]).encode(errors="backslashreplace"))


if __name__ == "__main__":
    main()
