"""What runs of a plugin: the words of a command, and what tells that its code has changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
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
    import shlex

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
    import hashlib

    digest = hashlib.sha256(plugin.config.digest().encode())
    for path, status in sorted(_code_in(plugin.folder, "")):
        digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _code_in(folder: Path | str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    """Path and state of each file of code in *folder*; every command looks at all of them, so it must be quick."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _NOT_CODE:
                continue
            if entry.is_dir():
                yield from _code_in(entry.path, f"{below}{entry.name}/")
            elif entry.is_file():
                with suppress(FileNotFoundError):  # an editor's, gone already
                    yield f"{below}{entry.name}", entry.stat()
