"""The same plugin under another name: its archive is made anew from its files."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from mfext.errors import PluginError, UsageError
from mfext.plugin.general import name_fault
from mfext.plugin.install.transaction import Transaction
from mfext.plugin.manifest import load_plugin
from mfext.plugin.package.archive import Archive, extract, read_archive
from mfext.plugin.release.release import build


def renamed(archive: Archive, name: str, transaction: Transaction) -> Archive:
    """The plugin in *archive* as a plugin called *name*: an archive in the folder of *transaction*.

    Raises:
        MetworkError: the name is not possible, or there is no rpmbuild.
    """
    fault = name_fault(name)
    if fault:
        raise UsageError(f'"{name}" cannot be the name of a plugin: {fault}')
    with tempfile.TemporaryDirectory(prefix="metwork-rename.") as work:
        staged = Path(work) / name
        extract(archive, staged)
        before = load_plugin(staged, transaction.module, None)
        _write_name(staged / "config.ini", before.config.origin("general", "name"), name)
        plugin = load_plugin(staged, transaction.module, None)
        as_it_was = replace(plugin, version=archive.version, release=archive.release)
        return read_archive(build(as_it_was, Path(work), transaction.folder))


def _write_name(file: Path, origin: str, name: str) -> None:
    """Put *name* into the line of *file* that *origin* (``path:line``) tells."""
    number = int(origin.rpartition(":")[2]) - 1
    lines = file.read_text("utf-8").splitlines(keepends=True)
    line, count = re.subn(r"(=\s*)\S+", rf"\g<1>{name}", lines[number], count=1)
    if not count:
        raise PluginError("its name cannot be changed", where=origin, expected="a line name = NAME")
    file.write_text("".join([*lines[:number], line, *lines[number + 1 :]]), "utf-8")
