"""A plugin's Python requirements: locked with digests and brought into its folder when it is released.

So a server needs neither pip nor a network, and what runs there is what was checked.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfext.environment import Home, child_variables, variables
from mfext.errors import PluginError, ServiceUnavailable
from mfext.layer import sites
from mfext.plugin.environments import LOCK, REQUIREMENTS, VENDORED, environment
from mfext.plugin.package_index import index_name, pip_settings, uv_options, uv_variables

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

#: What an installer notes of itself: who it is, and when and from where a file came.
_TRACES = ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
#: Seconds after which people are told again that an installer is at work.
_NEWS = 10.0
_HEADING = "# Made by plugins.release from requirements.txt"


def vendor(folder: Path, staged: Path) -> None:
    """Install what the plugin in *folder* requires into its copy *staged*, with the lock beside it.

    The lock in *folder* is used as it is for as long as its requirements stay the same; otherwise it is made anew.

    Raises:
        PluginError: it cannot be had, or it is not what the lock says.
    """
    lock = locked(folder, staged)
    if lock.parent != staged:
        shutil.copyfile(lock, staged / LOCK)
    if _has_any(lock):
        install(lock, staged / VENDORED)


def locked(folder: Path, spare: Path) -> Path:
    """The lock of the plugin in *folder*, made anew when its requirements have changed.

    It is kept in *folder*, for its author; where nothing can be written there, in the folder *spare*.

    Raises:
        PluginError: the requirements cannot be had.
    """
    wanted, lock = folder / REQUIREMENTS, folder / LOCK
    if _is_current(lock, wanted):
        return lock
    text = _locked(wanted)
    try:
        lock.write_text(text, "utf-8")
    except OSError:
        lock = spare / LOCK
        lock.write_text(text, "utf-8")
    return lock


def install(lock: Path, target: Path) -> None:
    """Install what *lock* names into the folder *target*, which gets nothing of this machine.

    Raises:
        PluginError: it cannot be had, or it is not what the lock says.
    """
    target.mkdir(parents=True, exist_ok=True)
    if _has_any(lock):
        _install(lock, target)
        _strip(target)


def plugin_environment(plugin: Plugin) -> dict[str, str]:
    """The variables with which programs of *plugin* find what came with it, and the layers that it asks for.

    Raises:
        ConfigError: a layer is not on this machine.
    """
    where = f"{plugin.config.origin('general', 'layers')} [general] layers"
    vendored = plugin.folder / VENDORED
    own = vendored if vendored.is_dir() else environment(plugin)
    folders = [*([own] if own else []), *sites(plugin.general.layers, where)]
    if not folders:
        return {}
    given = variables().get("PYTHONPATH")
    return {"PYTHONPATH": ":".join([*map(str, folders), *([given] if given else [])])}


def environment_for(plugin: Plugin, home: Home) -> dict[str, str]:
    """The whole environment of a program of *plugin*."""
    return {**child_variables(home), **plugin_environment(plugin)}


def has_compiled(folder: Path) -> bool:
    """Whether something in *folder* is for one kind of machine only."""
    return any(_is_compiled(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _is_compiled(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _is_current(lock: Path, wanted: Path) -> bool:
    return lock.is_file() and lock.read_text("utf-8").startswith(_heading(wanted))


def _heading(wanted: Path) -> str:
    import hashlib

    return f"{_HEADING} ({hashlib.sha256(wanted.read_bytes()).hexdigest()[:16]})\n"


def _has_any(lock: Path) -> bool:
    return any(line.strip() and not line.startswith("#") for line in lock.read_text("utf-8").splitlines())


def _locked(wanted: Path) -> str:
    """The text of the lock: each requirement, in turn too, with one version and its digests."""
    uv = _uv()
    if uv:
        quiet = ("--no-header", "--no-annotate", "--quiet", "--no-emit-index-url")
        command = [uv, "pip", "compile", "--generate-hashes", *quiet, "--python", sys.executable, wanted.name]
        return _heading(wanted) + _run_uv(command, wanted.parent, resolves=True)
    options = ("--dry-run", "--ignore-installed", "--report", "-", "--requirement", wanted.name)
    import json

    report = json.loads(_pip(["install", *options], wanted.parent))
    return _heading(wanted) + "".join(sorted(map(_lock_line, report["install"])))


def _lock_line(found: Mapping[str, Any]) -> str:
    """The line for one distribution of pip's report."""
    metadata = found["metadata"]
    digest = found["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{metadata['name'].lower()}=={metadata['version']} --hash=sha256:{digest}\n"


def _install(lock: Path, target: Path) -> None:
    uv = _uv()
    options = ["--require-hashes", "--no-deps", "--target", str(target), "--requirement", lock.name]
    if uv:
        # A link to uv's cache would change with it.
        own = ["--python", sys.executable, "--link-mode", "copy", "--quiet"]
        _run_uv([uv, "pip", "install", *own, *options], lock.parent)
    else:
        _pip(["install", "--no-compile", *options], lock.parent)


def _strip(target: Path) -> None:
    """Remove what depends on the machine and on the program that installed it."""
    # Programs name the path of their Python.
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)
    for folder in list(target.rglob("__pycache__")):
        shutil.rmtree(folder)
    for record in target.glob("*.dist-info/RECORD"):
        for name in _TRACES:
            (record.parent / name).unlink(missing_ok=True)
        lines = record.read_text("utf-8").splitlines(keepends=True)
        record.write_text("".join(sorted(line for line in lines if not _is_stripped(line.partition(",")[0]))), "utf-8")


def _is_stripped(path: str) -> bool:
    """Whether the file that *path* names in a RECORD is not there any more."""
    return path.startswith(("../../bin/", "bin/")) or "__pycache__" in path or path.rpartition("/")[2] in _TRACES


def _uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.is_file() else shutil.which("uv", path=variables().get("PATH"))


def _pip(arguments: Sequence[str], folder: Path) -> str:
    import importlib.util

    if importlib.util.find_spec("pip") is None:
        raise ServiceUnavailable("neither uv nor pip is there", mend=f"Install one of them for {sys.executable}.")
    common = ["--disable-pip-version-check", "--no-input", "--quiet"]
    return _run([sys.executable, "-m", "pip", *arguments[:1], *common, *arguments[1:]], folder)


def _run_uv(command: Sequence[str], folder: Path, *, resolves: bool = False) -> str:
    """Run uv with the settings of pip: what is installed must not depend on which of them there is."""
    settings = pip_settings(variables())
    environment = {**variables(), **uv_variables(settings, variables())}
    return _run([*command, *uv_options(settings, resolves=resolves)], folder, environment)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What *command* says; while it takes its time, people are told that it goes on."""
    import subprocess

    from mfext.commands.output import progress

    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    with process:
        waited = 0.0
        while True:
            try:
                said, complaint = process.communicate(timeout=_NEWS)
                break
            except subprocess.TimeoutExpired:
                waited += _NEWS
                progress(f"It goes on: {waited:g} s until now")
    if process.returncode:
        index = index_name(pip_settings(variables()))
        raise PluginError(
            f"its requirements cannot be had:\n{complaint.strip()}",
            where=str(folder / REQUIREMENTS),
            mend=f"They are looked for in {index}, as pip is configured (pip.conf, PIP_*).",
        )
    return said
