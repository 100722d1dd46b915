"""Answer: whether what a step answered can be done; an answer that cannot is a failure of the step, told as such."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfdata.outcome import Done, Failed, Outcome
from mfdata.storage.places import Places, Target

_NAME_MAX = 255
#: Bytes of names and values that all tags of a file may have: each later process reads and stores them with the file.
_TAGS_MAX = 1 << 20
#: Bytes that one value may have: rules are tried on it.
_VALUE_MAX = 1 << 16


class Answers:
    """Looks at the answers of the steps of one plugin."""

    def __init__(self, places: Places, plugin: str, required: frozenset[str] = frozenset()) -> None:
        """*required*: the plugins that *plugin* declares that it requires; files for them wait for them."""
        self._places = places
        self._plugin = plugin
        self._required = required
        self._rules = os.fspath(places.rules / "rules.json")
        #: The steps that are there, as long as what is in force is the same.
        self._known: set[Target] = set()
        self._stamp: tuple[int, int] | None = None

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
        if done.tags and (fault := wrong_tag(dict(done.tags))):
            yield fault
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
        stamp = self._stamp_of_published()
        if stamp != self._stamp:
            self._known.clear()
            self._stamp = stamp
        if target in self._known or target.plugin in self._required:
            return ""
        if name.startswith("/"):
            return f'"{name}" is no step; a place in the file system is given as a Path'
        if not self._is_there(target):
            return f'there is no step "{target}"'
        self._known.add(target)
        return ""

    def _is_there(self, target: Target) -> bool:
        """Whether *target* is in force, be its processes begun or not, or its plugin is there and has a fault."""
        steps = self._published()
        if steps is not None and str(target) in steps:
            return True
        is_installed = steps is None or (self._places.home.plugins / target.plugin).exists()
        return is_installed and self._places.queue(target).is_dir()

    def _published(self) -> list[str] | None:
        """Every ``plugin/step`` that is in force; None when nothing is."""
        try:
            steps: list[str] = json.loads(Path(self._rules).read_bytes())["steps"]
        except (OSError, ValueError, KeyError):
            return None
        return steps

    def _stamp_of_published(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._rules)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def wrong_tag(tags: dict[Any, Any]) -> str:
    """What is wrong with *tags* that a step has set; '' when nothing is. Those that cannot be kept are taken out."""
    size, longest = 0, 0
    for name, value in tags.items():
        if not (isinstance(value, bytes) and isinstance(name, str)):
            return _no_tags(tags)
        size += len(name) + len(value)
        longest = max(longest, len(value))
    if longest > _VALUE_MAX:
        name = next(name for name, value in tags.items() if len(value) > _VALUE_MAX)
        return f"the tag {name!r:.80} has {len(tags.pop(name))} bytes, more than {_VALUE_MAX}"
    return _too_large(tags, size) if size > _TAGS_MAX else ""


def _no_tags(tags: dict[Any, Any]) -> str:
    wrong = [name for name, value in tags.items() if not (isinstance(value, bytes) and isinstance(name, str))]
    values = [tags.pop(name) for name in wrong]
    return f"tags are bytes by name; the step set {wrong[0]!r} to {values[0]!r}"


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
