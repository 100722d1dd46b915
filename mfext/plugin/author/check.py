"""Everything that can be known of a plugin before it runs: code, commands, keys, and how it goes with the others."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home, child_variables
from mfext.errors import MetworkError, PluginError, ServiceUnavailable, Several
from mfext.plugin.author.probe import probe
from mfext.plugin.author.secrets_policy import secret_faults
from mfext.plugin.developed import missing
from mfext.plugin.manifest import Plugin
from mfext.plugin.python_requirements import environment_for
from mfext.supervision.process import Process

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.section import Config


def faults(plugin: Plugin, home: Home, module: Module, config: Config, others: Sequence[Plugin]) -> list[MetworkError]:
    """All that is wrong with *plugin*, whose configuration is valid by itself, where *others* are installed."""
    found = [*code_faults(plugin.folder)]
    lacking = missing(plugin)
    if lacking:
        found.append(lacking)
    for process in module.processes(home, config, [plugin]):
        found += command_faults(process, plugin, home)
    found += together_faults(plugin, home, module, config, others)
    found = found or [*module.missing(home, config, [plugin])]
    # Only code that compiles is worth an import, only rules that do are worth a try.
    return found or [*module.check_plugin(home, config, plugin, others), *custom_faults(plugin, home, module, config)]


def together_faults(
    plugin: Plugin, home: Home, module: Module, config: Config, others: Sequence[Plugin]
) -> list[MetworkError]:
    """What is wrong when *plugin* stands among *others*, in place of the one of its name, and is not without it."""
    rest = [other for other in others if other.name != plugin.name]
    return new_faults(rest, [*rest, plugin], home, module, config)


def new_faults(
    before: Sequence[Plugin], after: Sequence[Plugin], home: Home, module: Module, config: Config
) -> list[MetworkError]:
    """What is wrong when the plugins *after* are installed together and is not when those *before* are."""
    known = {error.message for error in _errors_together(home, module, config, before)}
    return [error for error in _errors_together(home, module, config, after) if error.message not in known]


def new_warnings(
    plugin: Plugin, home: Home, module: Module, config: Config, others: Sequence[Plugin]
) -> list[MetworkError]:
    """What is worth a warning of *plugin* among *others*, and is not without it."""
    rest = [other for other in others if other.name != plugin.name]
    # Their mends may well differ.
    known = {(error.where, error.found) for error in module.warnings(home, config, rest)}
    found = module.warnings(home, config, [*rest, plugin])
    return [error for error in found if (error.where, error.found) not in known]


def code_faults(folder: Path) -> Iterator[MetworkError]:
    """What Python cannot compile of the files in *folder*."""
    for file in sorted(folder.rglob("*.py")):
        if any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        except SyntaxError as error:
            yield PluginError(f"Python cannot compile this: {error.msg}", where=f"{file}:{error.lineno or 1}")
        except (ValueError, OSError) as error:
            yield PluginError(f"Python cannot compile this: {error}", where=str(file))


def command_faults(process: Process, plugin: Plugin, home: Home) -> Iterator[MetworkError]:
    """What of the command of *process* is not there."""
    where = f"{plugin.folder / 'config.ini'} {process.name}"
    if not process.command:
        yield PluginError("the command is empty", where=where)
        return
    program = process.command[0]
    path = child_variables(home).get("PATH", os.defpath)
    if shutil.which(str(process.folder / program) if "/" in program else program, path=path) is None:
        yield PluginError(f'there is no program "{program}"', where=where, expected="a program that may be run")
    script = script_of(process)
    if script and not script.is_file():
        yield PluginError(f'there is no file "{script}"', where=where, expected="the program that Python runs")
    elif script and only_defines(script):
        yield PluginError(
            "this program ends at once: it defines something and runs nothing of it",
            where=str(script),
            expected='for a step "CLASS.main()" at its end',
        )


def custom_faults(plugin: Plugin, home: Home, module: Module, config: Config) -> list[MetworkError]:
    """What is wrong with ``[custom]`` for the classes that the plugin's programs run.

    Of a plugin that is looked at without overrides, for its release, also the secrets in its ``config.ini``.
    """
    answers = [probe(plugin, home, script, name) for script, name in classes_of(plugin, home, module, config)]
    found = [fault for answer in answers for fault in answer.faults]
    if found or plugin.overridden:
        return found
    # Secret for one of its classes is secret.
    declared = sorted(((key, secret) for answer in answers for key, secret in answer.declared.items()))
    return secret_faults(plugin, home, dict(declared))


def run_tests(plugin: Plugin, home: Home) -> int:
    """Run the tests of *plugin* with pytest, and give its exit status."""
    if importlib.util.find_spec("pytest") is None:
        raise ServiceUnavailable("pytest is not there", mend=f"Install it for {sys.executable}.")
    own = any((plugin.folder / name).is_file() for name in ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"))
    # Without settings of its own, a plugin must not get those of a folder above it.
    settings = [] if own else ["-c", os.devnull, "--rootdir", "."]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *settings, "tests"]
    return subprocess.run(command, cwd=plugin.folder, env=environment_for(plugin, home), check=False).returncode


def script_of(process: Process) -> Path | None:
    """The file that Python runs as *process*; None when it runs something else."""
    if len(process.command) < 2 or process.command[0] != sys.executable or process.command[1].startswith("-"):
        return None
    return process.folder / process.command[1]


def classes_of(plugin: Plugin, home: Home, module: Module, config: Config) -> list[tuple[Path, str]]:
    """The scripts that Python runs for *plugin*, each with the name of the class whose ``main()`` it calls."""
    scripts = {script_of(process) for process in module.processes(home, config, [plugin])}
    named = [(script, class_run_by(script)) for script in sorted(script for script in scripts if script)]
    return [(script, name) for script, name in named if name]


def class_run_by(script: Path) -> str:
    """The name before ``.main()`` in *script*, with a dot where it is one of an imported module: ``module.Class``.

    It is '' when nothing like it is there, or the script is none.
    """
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "main":
            return _dotted(node.func.value, tree)
    return ""


def _dotted(value: ast.expr, tree: ast.Module) -> str:
    match value:
        case ast.Name(name):
            return name
        case ast.Attribute(ast.Name(place), name):
            imported = [one for node in tree.body if isinstance(node, ast.Import) for one in node.names]
            return f"{place}.{name}" if any(place == (one.asname or one.name) for one in imported) else ""
    return ""


def only_defines(script: Path) -> bool:
    """Whether *script* does nothing when it is run: it has classes or functions, and nothing that uses them."""
    try:
        body = ast.parse(script.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return False  # found by others
    definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, definitions) for node in body) and all(
        isinstance(node, (ast.Import, ast.ImportFrom, *definitions)) or _is_constant(node) for node in body
    )


def _is_constant(node: ast.stmt) -> bool:
    is_value = isinstance(node, (ast.Assign, ast.AnnAssign)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
    return is_value and not any(isinstance(one, (ast.Call, ast.Await)) for one in ast.walk(node))


def _errors_together(home: Home, module: Module, config: Config, plugins: Sequence[Plugin]) -> list[MetworkError]:
    try:
        module.check(home, config, sorted(plugins, key=lambda plugin: plugin.name))
    except Several as several:
        return list(several.errors)
    except MetworkError as error:
        return [error]
    return []
