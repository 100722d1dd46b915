"""Import a plugin's program in a process of its own and check ``[custom]`` against what its class declares there.

``python -m mfext.plugin.author.probe FOLDER PROGRAM CLASS [own]``: it prints what it found, as JSON; an import that
fails leaves its stack on stderr, as any program would. With ``own`` the plugin's configuration counts without
overrides, as in an archive, where a secret that must be given is missing rightly. With ``texts`` it prints the lines of
each key, with ``defaults`` what each is where nobody sets it.
"""

from __future__ import annotations

import ast
import json
import os
import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfext.environment import Home, current_module, home_of
from mfext.errors import ConfigError, MetworkError, PluginError, singly
from mfext.plugin.author.import_fault import import_fault
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.plugin.python_requirements import environment_for
from mfext.section import FreeSection, Section, declared

#: Seconds that the import of a plugin may take.
TIMEOUT = 60.0


@dataclass(frozen=True)
class Answer:
    """What a class says of the plugin that runs it."""

    faults: tuple[MetworkError, ...] = ()
    #: The keys of ``[custom]`` that it declares, and whether each is secret.
    declared: Mapping[str, bool] = field(default_factory=dict)


def probe(plugin: Plugin, home: Home, program: Path, name: str) -> Answer:
    """What the class *name* of its *program* says of *plugin*; the plugin's code runs elsewhere.

    Overrides that the class does not know are added to those that are unused.
    """
    import subprocess

    command = [sys.executable, "-m", "mfext.plugin.author.probe", str(plugin.folder), str(program), name]
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
        return Answer((PluginError(f"cannot be imported within {TIMEOUT:g} s", where=str(program)),))
    if done.returncode:
        return Answer((import_fault(done.stderr, plugin.folder, str(program)),))
    found = json.loads(done.stdout or "{}")
    plugin.config.unused.extend(map(ConfigError, found.get("unused", ())))
    return Answer(tuple(map(ConfigError, found.get("faults", ()))), found.get("declared", {}))


def key_texts(plugin: Plugin, home: Home, program: Path, name: str) -> dict[str, str]:
    """What config.ini would have of each key that the class *name* of the *program* declares, with its help.

    Raises:
        PluginError: the program cannot be imported.
    """
    return _asked("texts", plugin, home, program, name)


def key_defaults(plugin: Plugin, home: Home, program: Path, name: str) -> dict[str, str]:
    """The default of each key that the class *name* of the *program* declares, as a text; secrets are masked.

    Keys that must be given have none.

    Raises:
        PluginError: the program cannot be imported.
    """
    return _asked("defaults", plugin, home, program, name)


def _asked(wish: str, plugin: Plugin, home: Home, program: Path, name: str) -> dict[str, str]:
    """What the class says of each of its keys, asked in a process of its own."""
    import subprocess

    command = [sys.executable, "-m", "mfext.plugin.author.probe", str(plugin.folder), str(program), name, wish]
    environment = environment_for(plugin, home)
    try:
        done = subprocess.run(
            command, cwd=plugin.folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise PluginError(f"cannot be imported within {TIMEOUT:g} s", where=str(program)) from None
    if done.returncode:
        raise import_fault(done.stderr, plugin.folder, str(program))
    return dict(json.loads(done.stdout or "{}"))


def main() -> None:
    """Do in this process what ``probe``, ``key_texts`` or ``key_defaults`` asks for."""
    folder, program, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    # Its prints are none of our answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    custom = getattr(_object(runpy.run_path(program, run_name="metwork_probe"), name, Path(program)), "Custom", None)
    # One that declares nothing takes everything; most plugins have one, and are quickly done with.
    if isinstance(custom, type) and issubclass(custom, Section) and not issubclass(custom, FreeSection):
        wish = sys.argv[4] if len(sys.argv) > 4 else ""
        if wish == "texts":
            found = _texts(custom)
        elif wish == "defaults":
            found = _defaults(custom)
        else:
            found = _found(folder, custom, overridden=not wish)
        with open(answer, "w", encoding="ascii") as said:  # noqa: PTH123  # of a descriptor
            json.dump(found, said)


def _object(names: Mapping[str, Any], name: str, program: Path) -> Any:
    """What *name* is among the *names* of the *program*; None when it gets one only when it is run."""
    first, *others = name.split(".")
    if first not in names and _binds(program, first):
        return None
    if first not in names:
        raise NameError(f"name '{first}' is not defined")
    found = names[first]
    for other in others:
        found = getattr(found, other)
    return found


def _binds(program: Path, name: str) -> bool:
    """Whether *name* gets a value somewhere in the *program*."""
    for node in ast.walk(ast.parse(program.read_bytes())):
        match node:
            case ast.alias(imported, given) if (given or imported) == name:
                return True
            case ast.Name(bound, ast.Store()) | ast.arg(bound) if bound == name:
                return True
            case ast.ClassDef(bound) if bound == name:
                return True
    return False


def _texts(custom: type[Section]) -> dict[str, Any]:
    from mfext.configuration.reference import key_text

    note = "A secret: write it into config/plugins/NAME.ini of the home, never here."
    return {key: key_text("custom", one, note) for key, one in declared(custom).items()}


def _defaults(custom: type[Section]) -> dict[str, Any]:
    from mfext.configuration.secret import masked

    optional = {key: one for key, one in declared(custom).items() if not one.required}
    return {key: masked(one.text(one.default), one.secret) for key, one in optional.items()}


def _found(folder: Path, custom: type[Section], *, overridden: bool) -> dict[str, Any]:
    """What ``Answer`` needs, as JSON values."""
    from mfext.module import load_module

    module = load_module(current_module())
    options = declared(custom)
    # A release lacks them rightly, and shall be complete but for them.
    missing = () if overridden else tuple(key for key, one in options.items() if one.secret and one.required)
    unused: list[str] = []
    faults: list[str] = []
    try:
        config = load_plugin(folder, module, home_of(module.name), overridden=overridden).config
        known = len(config.unused)
        config.section("custom", custom)
        unused = [one.message for one in config.unused[known:]]
    except MetworkError as error:
        left_out = tuple(f" [custom] {key}" for key in missing)
        faults = [one.message for one in singly(error) if not one.where.endswith(left_out)]
    return {"faults": faults, "unused": unused, "declared": {key: one.secret for key, one in options.items()}}


if __name__ == "__main__":
    main()
