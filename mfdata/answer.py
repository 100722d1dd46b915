"""Answer: whether what a step answered can be done; an answer that cannot is a failure of the step, told as such."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfdata.outcome import Done, Failed, Outcome
from mfdata.places import Places, Target

_NAME_MAX = 255
#: Bytes of names and values that all tags of a file may have: each later process reads and stores them with the file.
_TAGS_MAX = 1 << 20


class Answers:
    """Looks at the answers of the steps of one plugin."""

    def __init__(self, places: Places, plugin: str) -> None:
        self._places = places
        self._plugin = plugin
        self._known: set[Target] = set()

    def checked(self, answer: Any) -> Outcome | None:
        """*answer* itself, or the failure that it is."""
        if answer is not None and not isinstance(answer, Outcome):
            return _fault(f"the step returned {answer!r}, which says nothing; expected None, Done, Retry or Failed")
        if isinstance(answer, Done):
            fault = next(self._faults(answer), "")
            if fault:
                return _fault(fault)
        return answer

    def _faults(self, done: Done) -> Iterator[str]:
        for output in done.outputs:
            if not output.path.is_file():
                yield f'the output "{output.path.name}" was not written'
            if not (output.to or done.to):
                yield f'it is not said where the output "{output.path.name}" goes'
        for to in (*done.to, *(one for output in done.outputs for one in output.to)):
            fault = _path_fault(to) if isinstance(to, Path) else self._step_fault(to.rstrip("*"))
            if fault:
                yield fault

    def _step_fault(self, name: str) -> str:
        target = Target.of(name, self._plugin)
        if target in self._known:
            return ""
        if name.startswith("/"):
            return f'"{name}" is no step; a place in the file system is given as a Path'
        if not self._places.queue(target).is_dir() and str(target) not in self._published():
            return f'there is no step "{target}"'
        self._known.add(target)
        return ""

    def _published(self) -> list[str]:
        """Every ``plugin/step`` that is in force, also those whose processes have not begun."""
        try:
            steps: list[str] = json.loads((self._places.rules / "rules.json").read_bytes())["steps"]
        except (OSError, ValueError, KeyError):
            return []
        return steps


def wrong_tag(tags: dict[Any, Any]) -> str:
    """What is wrong with *tags* that a step has set; '' when nothing is. Those that cannot be kept are taken out."""
    wrong = [name for name, value in tags.items() if not (isinstance(value, bytes) and isinstance(name, str))]
    if wrong:
        values = [tags.pop(name) for name in wrong]
        return f"tags are bytes by name; the step set {wrong[0]!r} to {values[0]!r}"
    size = sum(map(len, tags)) + sum(map(len, tags.values()))
    return _too_large(tags, size) if size > _TAGS_MAX else ""


def _too_large(tags: dict[str, bytes], size: int) -> str:
    """Take out the largest tags until the others can be kept; what is wrong."""
    largest = sorted((name for name in tags if ".core." not in name), key=lambda name: -len(tags[name]) - len(name))
    left = size
    for name in largest:
        if left <= _TAGS_MAX:
            break
        left -= len(name) + len(tags.pop(name))
    return f"the tags of the file have {size} bytes, more than {_TAGS_MAX}; the largest is {largest[0]!r:.80}"


def _path_fault(path: Path) -> str:
    """What is wrong with the path itself; a disk that is full or may not be written is not its fault."""
    raw = os.fsencode(path)
    if not raw.startswith(b"/"):
        return f'"{path}" is not an absolute path'
    if len(raw) > _NAME_MAX and any(len(part) > _NAME_MAX for part in raw.split(b"/")):
        return f'a name in "{path}" is longer than {_NAME_MAX} bytes'
    if os.path.isdir(raw):
        return f'"{path}" is a folder'
    return ""


def _fault(reason: str) -> Failed:
    return Failed(reason, permanent=True)
