"""Naming: where a file is written, expanded from a template such as ``%Y%m%d/{ORIGINAL_UID}`` (pure)."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfdata import Failed, File
from mfdata.storage.file_names import LONGEST, fitted
from mfext.errors import ConfigError, nearest
from mfext.option import option

#: What stands between braces in a template.
PLACEHOLDERS = ("ORIGINAL_BASENAME", "ORIGINAL_DIRNAME", "ORIGINAL_UID", "RANDOM_ID", "STEP_COUNTER")

#: What the help of a key that takes a template ends with.
HELP = (
    "may hold {ORIGINAL_BASENAME}, {ORIGINAL_DIRNAME}, {ORIGINAL_UID}, {RANDOM_ID}, {STEP_COUNTER}, "
    "the date and time as %Y %m %d %H %M %S (strftime, local time), and / for folders."
)


_TOKEN = re.compile(r"\{([A-Z_]+)\}|%[-_0^#]*[EO]?[A-Za-z%]")


def mode_option() -> Any:
    """The key for the mode that written files get."""
    return option(
        "",
        pattern="0?[0-7]{3}|",
        form="an octal mode, or nothing",
        help="Mode that files get, in octal; empty = as they came.",
        example="0640",
    )


def if_exists_option(default: str) -> Any:
    """The key for what becomes of a file whose name is taken."""
    return option(
        default,
        choices=("number", "replace", "quarantine"),
        help="When a file of that name is there: number = the new one gets a number of its own, ~ and eight digits "
        "before its suffix; replace = it takes the place of the old one; quarantine = it has failed, for good. The "
        "trace says which name it got, or what it replaced.",
    )


def check_template(template: str, key: str) -> None:
    """Look at a template before any file comes.

    Raises:
        ConfigError: it names a placeholder that there is not, or leaves its folder.
    """
    where = f"[custom] {key}"
    for name in re.findall(r"\{([^{}]*)\}", template):
        if name not in PLACEHOLDERS:
            raise ConfigError(f"{{{name}}} is not known", where=where, mend=nearest(name, PLACEHOLDERS))
    rest = template
    for name in PLACEHOLDERS:
        rest = rest.replace(f"{{{name}}}", "x")
    if "{" in rest or "}" in rest:
        raise ConfigError(f'"{template}" has a brace without its other', where=where)
    try:
        relative_path(rest)
    except UnsafeName as error:
        raise ConfigError(str(error), where=where, expected="the name of a file below its folder") from error


def written_path(
    folder: str | Path, template: str, file: File, place: str, moment: time.struct_time, *, reserve: int = 0
) -> Path | Failed:
    """The path below *folder* where *file* is written, or why there is none.

    Args:
        folder: what the result never leaves.
        template: see ``HELP``.
        file: gives the values.
        place: ``plugin/step``; makes the random id differ between steps.
        moment: the date and time.
        reserve: bytes that must still fit behind the name.
    """
    try:
        below = relative_path(expanded(template, values_of(file, place), moment), reserve)
        return Path(os.path.join(folder, below))
    except UnsafeName as error:
        return Failed(str(error), permanent=True)


class UnsafeName(ValueError):
    """A name would leave the folder, or is none."""


def values_of(file: File, place: str) -> Mapping[str, str]:
    """What each placeholder stands for.

    The random id is unique to this visit of the file to *place*, and the same at each try of it, so that a try
    that was cut short leaves no second copy behind.
    """
    counter = os.fsdecode(file.tags.get("latest.core.step_counter", b"0"))
    random_id = hashlib.blake2s(f"{file.uid}/{counter}/{place}".encode("utf-8", "surrogateescape"), digest_size=16)
    return {
        "ORIGINAL_BASENAME": file.basename,
        "ORIGINAL_DIRNAME": os.fsdecode(file.tags.get("first.core.original_dirname", b"")),
        "ORIGINAL_UID": file.uid,
        "RANDOM_ID": random_id.hexdigest(),
        "STEP_COUNTER": counter,
    }


def expanded(template: str, values: Mapping[str, str], moment: time.struct_time) -> str:
    """*template* with every placeholder and date replaced, in one pass: a ``%`` or ``{`` in a value stays as it is."""

    def replaced(found: re.Match[str]) -> str:
        return values[found[1]] if found[1] else time.strftime(found[0], moment)

    return _TOKEN.sub(replaced, template)


def relative_path(text: str, reserve: int = 0) -> str:
    """*text* as a path that stays below where it starts; names that are too long are shortened.

    Raises:
        UnsafeName: it climbs out, or its last part is no name.
    """
    parts = text.split("/")
    if text.startswith("/"):
        raise UnsafeName(f"the name {text!r} is absolute, it must stay below its folder")
    if ".." in parts:
        raise UnsafeName(f"the name {text!r} climbs out of its folder")
    if "\0" in text or parts[-1] in ("", "."):
        raise UnsafeName(f"the name {text!r} is not the name of a file")
    *folders, name = (part for part in parts if part not in ("", "."))
    return "/".join([*map(fitted, folders), fitted(name, LONGEST - reserve)])


def temporary_name(name: str, suffix: str, uid: str) -> str:
    """The name under which *name* is written first.

    It is the file's own, so that two files of one name do not meet in it, and the same at each try, so that what a
    broken connection left behind is written over.
    """
    if not suffix:
        return name
    folder, slash, basename = name.rpartition("/")
    mark = f".{hashlib.blake2s(uid.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}{suffix}"
    return f"{folder}{slash}{fitted(basename, LONGEST - len(os.fsencode(mark)))}{mark}"
