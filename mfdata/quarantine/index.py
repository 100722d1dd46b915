"""Quarantine index: the reasons of very many files in one file a step, so that none of them need be opened.

It is a cache, which may be removed at any time: what the folder lists is true, the reason beside a file is true, and a
file that the index does not know is looked at. Whoever puts a file into quarantine appends a line; whoever lists and
finds much that is missing or gone writes the index anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mfdata.storage.places import Places, Target
from mfdata.storage.trace import encoded
from mfext.fs.atomic import replace_file

#: What is kept of a reason.
_KEYS = ("plugin", "step", "uid", "name", "time", "kind", "reason")
_LONGEST_REASON = 300
#: It is written anew when so many lines are missing or of no use any more.
_STALE = 1000
#: Stands between the name on disk and what is kept of the reason.
_BETWEEN = b"\t"

#: Gives the reason beside the file of a name, or None when it is gone.
Read = Callable[[str], Mapping[str, Any] | None]


def note(places: Places, target: Target, name: str, reason: Mapping[str, object]) -> None:
    """Add the file *name*, which is put into the quarantine of *target*; on a full disk it is not added."""
    with suppress(OSError):
        path = _index(places, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write, so that lines of several processes do not mix.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, _line(name, reason))
        finally:
            os.close(descriptor)


def indexed(
    places: Places, target: Target, names: Collection[str], read: Read, words: Collection[str] = ()
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is known of the files *names* in the quarantine of *target*: name on disk, and the main facts of the reason.

    Args:
        places: of the home.
        target: the step.
        names: as the folder lists them.
        read: for what the index does not know.
        words: only files in whose facts or names one of these stands need be given; () = all.
    """
    lines = _lines(places, target)
    sought = [encoded(word)[1:-1].encode("ascii") for word in words]
    added: dict[str, bytes] = {}
    for name in names:
        line = lines.get(os.fsencode(name))
        if line is None:
            reason = read(name)
            if reason is None:
                continue
            line = _facts(reason)
            added[name] = line
        if not sought or any(word in line for word in sought) or name in words:
            facts: Mapping[str, Any] | None = _decoded(line)
            if facts is None:
                facts = read(name)
            if facts is not None:
                yield name, facts
    if len(added) > _STALE or len(lines) > len(names) + _STALE:
        known = {name: lines.get(os.fsencode(name)) or added.get(name) for name in names}
        _write(places, target, {name: line for name, line in known.items() if line})


def _decoded(line: bytes) -> dict[str, Any] | None:
    """The facts in *line*; None when it is damaged."""
    try:
        facts = json.loads(line.decode("ascii"))
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None


def _index(places: Places, target: Target) -> Path:
    return places.home.run / "quarantine" / target.folder


def _lines(places: Places, target: Target) -> dict[bytes, bytes]:
    """The lines of the index by name on disk; what a full disk has cut is left out."""
    try:
        content = _index(places, target).read_bytes()
    except OSError:
        return {}
    pairs = (line.split(_BETWEEN, 1) for line in content.split(b"\n"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[1].endswith(b"}")}


def _write(places: Places, target: Target, lines: Mapping[str, bytes]) -> None:
    with suppress(OSError):
        path = _index(places, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, b"".join(os.fsencode(name) + _BETWEEN + line + b"\n" for name, line in lines.items()))


def _line(name: str, reason: Mapping[str, object]) -> bytes:
    return os.fsencode(name) + _BETWEEN + _facts(reason) + b"\n"


def _facts(reason: Mapping[str, object]) -> bytes:
    known = {key: reason[key] for key in _KEYS if key in reason}
    if isinstance(known.get("reason"), str):
        known["reason"] = str(known["reason"])[:_LONGEST_REASON]
    return encoded(known).encode("ascii")
