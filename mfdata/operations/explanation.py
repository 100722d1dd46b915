"""Explanation: what the switch would do with a file, and why; nothing is moved."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfdata.operations.history import short
from mfdata.storage.places import Places
from mfdata.storage.tags import Tags, first_tags, new_uid, read_tags
from mfdata.switch.identify import ContentTags, Unidentified
from mfdata.switch.rules import Explained, Match
from mfdata.switch.switch import PREFIX, Published, queue_priorities
from mfext.log import printable

_WORDS = {True: "matched", False: "no", None: "RAISED"}


@dataclass(frozen=True)
class Explanation:
    """What the rules say of one file."""

    file: Path
    #: All tags, those that were found out included.
    tags: Mapping[str, bytes]
    rules: tuple[Explained, ...]
    match: Match
    #: What becomes of a file that no rule wants.
    no_match: str
    #: By step: its priority in that queue, where a rule or the step says one.
    priorities: Mapping[str, int]

    @property
    def end(self) -> str:
        """What would become of the file, in one line."""
        if self.match.error:
            return f"quarantined as rule_error: {self.match.error}"
        if self.match.destinations:
            return ", ".join(f"{to}{self._priority(str(to))}" for to in self.match.destinations)
        words = {"keep": "quarantined as no_match", "drop": "dropped by switch_no_match_policy"}
        return f"no rule wants it: {words.get(self.no_match, self.no_match)}"

    def _priority(self, step: str) -> str:
        return f" with priority {self.priorities[step]}" if step in self.priorities else ""

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "file": os.fspath(self.file),
            "tags": {name: os.fsdecode(value) for name, value in self.tags.items()},
            "rules": [_facts_of_rule(one) for one in self.rules],
            "destinations": [] if self.match.error else [str(one) for one in self.match.destinations],
            "priorities": dict(self.priorities),
            "error": str(self.match.error or ""),
            "no_match": self.no_match,
            "end": self.end,
        }

    @property
    def text(self) -> str:
        """For a person."""
        lines = [f"file: {self.file}", "tags:"]
        lines += [f"    {name} = {os.fsdecode(value)}" for name, value in sorted(self.tags.items())]
        lines += ["rules:", *(line for one in self.rules for line in _lines_of_rule(one))]
        lines.append(f"destinations: {self.end}")
        return "\n".join(map(printable, lines))


def explain(file: Path, rules: Published, places: Places, *, name: str = "", dirname: str = "incoming") -> Explanation:
    """What *rules* say of *file*, as if it had come in as *name* (its own by default) through *dirname*.

    A file that is in the framework has its tags already.
    """
    tags = _stored(file, places) or first_tags(new_uid(), os.fsencode(name or file.name), os.fsencode(dirname))
    stored = {tag: value for tag, value in tags.items() if not tag.startswith(PREFIX)}
    seen = ContentTags(path=file, stored=stored)
    compiled = rules.compiled()
    explained = tuple(compiled.explain(seen))
    match = compiled.match(seen)
    with suppress(Unidentified):  # the rules that asked for it say so
        dict(seen)  # also what no rule asks for
    reached = {str(to) for to in match.destinations}
    priorities = {to: one for to, one in queue_priorities(match, rules.priorities).items() if to in reached}
    return Explanation(file, {**stored, **seen.computed}, explained, match, rules.no_match, priorities)


def _stored(file: Path, places: Places) -> Tags:
    """The tags of a file of ours; what others bring with them is not believed, as intake does not."""
    if not file.absolute().is_relative_to(places.home.var):
        return {}
    tags = read_tags(file, places.sidecars)
    return tags if "first.core.original_uid" in tags else {}


def _facts_of_rule(one: Explained) -> dict[str, Any]:
    return {
        "plugin": one.rule.plugin,
        "rule": one.rule.where,
        "type": one.rule.type,
        "tag": one.rule.tag,
        "pattern": one.rule.pattern,
        "to": [str(to) for to in one.rule.destinations],
        "seen": {name: os.fsdecode(value) for name, value in one.seen.items()},
        "matched": one.matched,
        "error": one.error,
    }


def _lines_of_rule(one: Explained) -> Iterator[str]:
    yield f"    {_WORDS[one.matched]:<8} {one.rule.where}"
    yield f"             {one.rule.pattern} -> {', '.join(to.shown for to in one.rule.destinations)}"
    for name, value in one.seen.items():
        yield f"             saw {name} = {short(os.fsdecode(value))}"
    if one.error:
        yield f"             {one.error}"
