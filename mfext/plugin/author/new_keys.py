"""Keys of a plugin's classes that its ``[custom]`` lacks: brought into its config.ini, or shown with their defaults."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import NotAllowed, UsageError
from mfext.fs.atomic import replace_file
from mfext.plugin.author.check import classes_of
from mfext.plugin.author.probe import key_defaults, key_texts
from mfext.section import DEFAULT, Row

if TYPE_CHECKING:
    from mfext.module import Module
    from mfext.plugin.manifest import Plugin
    from mfext.section import Config

_SECTION = "custom"


def bring_new_keys(plugin: Plugin, home: Home, module: Module, config: Config) -> list[str]:
    """Write into config.ini of *plugin* what its classes declare and it does not mention; the names of these keys.

    Raises:
        UsageError: the plugin is no developer's.
        MetworkError: its code cannot be imported, or the file not be written.
    """
    if plugin.folder.is_relative_to(home.plugins.resolve()) or plugin.builtin:
        raise UsageError(f"{plugin.name} is a release: its config.ini stays as it came", where=str(plugin.folder))
    texts: dict[str, str] = {}
    for script, name in classes_of(plugin, home, module, config):
        texts |= key_texts(plugin, home, script, name)
    file = plugin.folder / "config.ini"
    text, added = with_keys(file.read_text("utf-8"), texts)
    if added:
        try:
            replace_file(file, text, mode=stat.S_IMODE(file.stat().st_mode))
        except OSError as error:
            raise NotAllowed(f"it cannot be written: {error.strerror}", where=str(file)) from error
    return added


def default_rows(plugin: Plugin, home: Home, module: Module, config: Config) -> list[Row]:
    """The keys of ``[custom]`` that the classes of *plugin* declare and no file sets, with their defaults.

    Raises:
        MetworkError: its code cannot be imported.
    """
    defaults: dict[str, str] = {}
    for script, name in classes_of(plugin, home, module, config):
        defaults |= key_defaults(plugin, home, script, name)
    given = {row.key for row in plugin.config.rows() if row.section == _SECTION}
    return [Row(_SECTION, key, text, DEFAULT) for key, text in defaults.items() if key not in given]


def with_keys(text: str, blocks: Mapping[str, str]) -> tuple[str, list[str]]:
    """*text* of a config.ini with those *blocks*, by key, whose keys its ``[custom]`` does not mention; their keys.

    A key is mentioned by a line that sets it, or would without its ``#``. The new ones come at the end of the section,
    which is made if need be (pure).
    """
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if re.match(r"\[.*\]\s*$", line)]
    own = [number for number in starts if re.match(rf"\[\s*{_SECTION}\s*\]", lines[number])]
    if own:
        end = next((number for number in starts if number > own[0]), len(lines))
        section = lines[own[0] : end]
    else:
        end, section = len(lines), []
    added = [key for key in blocks if not _mentions(section, key)]
    if not added:
        return text, []
    while end and not lines[end - 1].strip():
        end -= 1
    new = [] if own else ["", "", f"[{_SECTION}]"]
    for key in added:
        new += ["", *blocks[key].split("\n")]
    tail = lines[end:] if any(line.strip() for line in lines[end:]) else [""]
    return "\n".join([*lines[:end], *new, *tail]), added


def _mentions(section: list[str], key: str) -> bool:
    return any(re.match(rf"#?\s*{re.escape(key)}\s*=", line) for line in section)
