"""What runs of a plugin: the words of a command, and what tells that its code has changed."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.errors import ConfigError

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

#: Files of a plugin whose change does not change what runs.
_NOT_CODE = {"__pycache__", "tests", "README.md"}


def command_words(text: str, values: Mapping[str, str], where: str) -> tuple[str, ...]:
    """The words of the command *text*, with ``{NAME}`` replaced by the value of NAME; no shell is asked.

    Raises:
        ConfigError: a quote is not closed, or there is no word.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{text!r}: {error}", where=where, mend="Close the quote.") from None
    if not words:
        raise ConfigError("the command is empty", where=where, expected='for example "{PYTHON} main.py"')
    for name, value in values.items():
        words = [word.replace(f"{{{name}}}", value) for word in words]
    return tuple(words)


def fingerprint(plugin: Plugin) -> str:
    """Changes when code or configuration of *plugin* change; its processes are then started anew."""
    digest = hashlib.sha256(repr(plugin.config.rows()).encode())
    for path in sorted(_code_of(plugin.folder)):
        status = path.stat()
        name = str(path.relative_to(plugin.folder))
        digest.update(f"{name} {status.st_mtime_ns} {status.st_size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _code_of(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _NOT_CODE:
            continue
        if path.is_dir():
            yield from _code_of(path)
        elif path.is_file():
            yield path
