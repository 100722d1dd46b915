"""Secrets of a plugin: they belong into an override, which stays on its machine, and never into an archive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.configuration.inifile import RULES_PREFIX, read
from mfext.configuration.secret import is_given_away
from mfext.errors import ConfigError, Conflict, MetworkError
from mfext.section import FreeSection, Section, hides

if TYPE_CHECKING:
    from mfext.environment import Home
    from mfext.plugin.manifest import Plugin

#: Values of a config.ini by section and key.
Values = Mapping[tuple[str, str], str]


def secret_faults(plugin: Plugin, home: Home, declared: Mapping[str, bool]) -> list[MetworkError]:
    """What the ``config.ini`` of *plugin* would give away to everybody who has its archive.

    Args:
        plugin: what shall be released.
        home: where its overrides would be.
        declared: the keys of ``[custom]`` that its code declares, and whether each is secret.
    """
    from mfext.plugin.manifest import override_files

    own, machine = override_files(plugin.name, plugin.module, home)
    mend = f"Write it into {own} or {machine} instead, where only the module's user may read it: chmod 600 {own}"
    found: list[MetworkError] = []
    for name, section in read(plugin.folder / "config.ini").items():
        if name.startswith(RULES_PREFIX):
            continue
        kind = type(plugin.config.get(name, FreeSection()))
        for key, value in section.values.items():
            is_secret = declared[key] if name == "custom" and key in declared else hides(kind, key)
            if is_given_away(value.text, is_secret):
                where = f"{value.origin} [{name}] {key}"
                found.append(ConfigError("a secret, which all who get the archive could read", where=where, mend=mend))
    return found


def secrets_of(values: Values, sections: Mapping[str, type[Section]]) -> dict[tuple[str, str], str]:
    """Those of *values* that nobody may see, where *sections* say what is secret."""
    return {
        (section, key): text
        for (section, key), text in values.items()
        if section in sections and is_given_away(text, hides(sections[section], key))
    }


def write_override(file: Path, values: Values) -> None:
    """Make the override *file* with *values*, for its user alone; one that says just that already is fine.

    Raises:
        Conflict: it says something else.
    """
    text = _override_text(values)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if file.read_text("utf-8", errors="replace") == text:
            return
        keys = ", ".join(f"[{section}] {key}" for section, key in values)
        raise Conflict(
            f"this exists already, and here {keys} would be written, which no archive may hold",
            where=str(file),
            mend="Make the plugin without it, and write it there yourself; or remove the file.",
        ) from None
    try:
        with open(descriptor, "w", encoding="utf-8") as written:  # noqa: PTH123  # of a descriptor
            written.write(text)
    except OSError:
        # On a full disk: half of it would be in the way of the next try.
        file.unlink()
        raise


def _override_text(values: Values) -> str:
    from mfext.configuration.reference import key_lines

    lines: dict[str, list[str]] = {}
    for (section, key), text in values.items():
        lines.setdefault(section, [f"[{section}]"]).extend(key_lines(section, key, text))
    return "\n\n".join("\n".join(block) for block in lines.values()) + "\n"
