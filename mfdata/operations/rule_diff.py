"""Rule changes: which of the files that came lately would go elsewhere by other rules than those in force.

What is known of a file that came: its names and uid, by the trace; its content and other tags only while it is at
hand, in quarantine or where its trace says that a step put it, or what the switch then saw of it while something that
was made of it is. A rule that asks for what is not known tells nothing of that file, and that is said.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfdata.operations.replay import tags_of
from mfdata.quarantine.quarantine import kept_files
from mfdata.storage.places import Places
from mfdata.storage.tags import Tags, first_tags, uid_of
from mfdata.storage.trace import Event, events, time_of
from mfdata.switch.identify import CONTENT_TAG_ALIASES, CONTENT_TAGS, ContentTags
from mfdata.switch.rules import Explained, Rule, RuleSet
from mfdata.switch.switch import Published

#: What stands for a step when no rule wants a file.
NO_MATCH = "no_match"

_CONTENT = frozenset((*CONTENT_TAGS, *CONTENT_TAG_ALIASES))


class NotKnown(Exception):
    """A rule asked for a tag of which nobody knows any more what it was."""


@dataclass(frozen=True)
class Came:
    """A file that came in."""

    uid: str
    name: str
    #: Epoch seconds.
    time: float
    tags: Tags
    #: Where it is now; None = its content is not at hand.
    path: Path | None = None


@dataclass(frozen=True)
class Verdict:
    """What a rule set says of a file."""

    #: Destinations that it has for certain.
    sure: frozenset[str]
    #: Destinations that it may have besides, with the rules that could not be tried.
    maybe: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """How one file would fare by the new rules."""

    came: Came
    gains: tuple[str, ...]
    loses: tuple[str, ...]
    #: Destinations of which it cannot be told.
    unknown: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON."""
        came = {"uid": self.came.uid, "name": self.came.name, "time": self.came.time}
        return {**came, "gains": [*self.gains], "loses": [*self.loses], "unknown": [*self.unknown]}


def changes(places: Places, old: Published, new: Published, last: int) -> tuple[list[Came], list[Change]]:
    """The *last* files that came in, oldest first, and those of them that would or might go elsewhere by *new*."""
    before, after = old.compiled(), new.compiled()
    came = last_files(places, last)
    found = (compared(one, verdict(one, before, old.no_match), verdict(one, after, new.no_match)) for one in came)
    return came, [change for change in found if change.gains or change.loses or change.unknown]


def compared(came: Came, old: Verdict, new: Verdict) -> Change:
    """What is different for a file between two rule sets (pure)."""
    gains, loses, unknown = [], [], []
    for to in sorted(old.sure | new.sure | old.maybe.keys() | new.maybe.keys()):
        was, will = to in old.sure, to in new.sure
        if (was or to not in old.maybe) and (will or to not in new.maybe):
            gains += [to] if will and not was else []
            loses += [to] if was and not will else []
        # Rules that both have say the same in both, whatever it is.
        elif was or will or old.maybe.get(to) != new.maybe.get(to):
            unknown.append(to)
    return Change(came, tuple(gains), tuple(loses), tuple(unknown))


def verdict(came: Came, rules: RuleSet, no_match: str) -> Verdict:
    """What *rules* say of a file of which perhaps not all is known."""
    explained = rules.explain(_Known(came))
    errors = [one for one in explained if one.matched is None and not _is_not_known(one)]
    if errors:
        return Verdict(frozenset(["quarantine as rule_error"]))
    sure = frozenset(str(to) for one in explained if one.matched for to in one.rule.destinations)
    maybe: dict[str, set[str]] = {}
    for one in explained:
        for to in one.rule.destinations if _is_not_known(one) else ():
            maybe.setdefault(str(to), set()).add(_key(one.rule))
    if not sure and not maybe:
        return Verdict(frozenset([f"{NO_MATCH}: {no_match}"]))
    return Verdict(sure, {to: frozenset(keys) for to, keys in maybe.items() if to not in sure})


def _is_not_known(one: Explained) -> bool:
    return one.matched is None and one.error.startswith(f"{NotKnown.__name__}: ")


def _key(rule: Rule) -> str:
    return "\0".join((rule.plugin, rule.type, rule.tag, rule.pattern, *map(str, rule.destinations)))


class _Known(Mapping[str, bytes]):
    """The tags of a file that came; asking for one that is not known any more raises."""

    def __init__(self, came: Came) -> None:
        self._tags: Mapping[str, bytes] = ContentTags(came.path, came.tags) if came.path else came.tags
        self._is_at_hand = came.path is not None

    def get(self, name: str, default: Any = None) -> Any:
        name = CONTENT_TAG_ALIASES.get(name, name)
        if not self._is_at_hand and name not in self._tags and (name in _CONTENT or name.startswith("first.")):
            raise NotKnown(name)
        return self._tags.get(name, default)

    def __getitem__(self, name: str) -> bytes:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return bytes(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tags)

    def __len__(self) -> int:
        return len(self._tags)


# ── what came ──────────────────────────────────────────────────────────────────────────────────────────────────────


def last_files(places: Places, last: int) -> list[Came]:
    """The *last* files that came in, oldest first, with what is known of them."""
    events = _arrivals(places, last)
    if not events:
        return []
    at_hand = _at_hand(places, {str(event["uid"]) for event in events}, time_of(events[0]))
    return [_came(event, at_hand.get(str(event["uid"]), ()), places.sidecars) for event in events]


def _arrivals(places: Places, last: int) -> list[Event]:
    found: dict[str, Event] = {}
    for kind in ("accepted", "injected"):
        mark = f'"event":"{kind}"'.encode()
        for event in deque(events(places.home, containing=mark), maxlen=last):
            if event.get("event") == kind:
                found[str(event.get("uid"))] = event
    return sorted(found.values(), key=time_of)[-last:]


def _at_hand(places: Places, uids: set[str], since: float) -> dict[str, list[Path]]:
    """Where the files, or what was made of them, may be now, the best place first."""
    found: dict[str, list[Path]] = {}
    for event in events(places.home, since=since, containing=b'"/'):
        uid = _root(str(event.get("uid")))
        if uid in uids and isinstance(event.get("to"), list):
            paths = (Path(str(one)) for one in event["to"] if str(one).startswith("/"))
            found[uid] = [*paths, *found.get(uid, [])]
    for kept in kept_files(places):
        uid = _root(kept.uid)
        if uid in uids:
            found[uid] = [kept.path, *found.get(uid, [])]
    return found


def _root(uid: str) -> str:
    """The file of which the file *uid* was made, in the end."""
    return uid.partition(".")[0]


def _came(event: Event, paths: Iterable[Path], sidecars: Path) -> Came:
    uid, name = str(event["uid"]), str(event.get("name", ""))
    dirname = os.path.basename(str(event.get("directory", "")))
    tags = first_tags(uid, os.fsencode(name), os.fsencode(dirname))
    if not dirname:
        del tags["first.core.original_dirname"]
    for path in paths:
        stored = tags_of(path, sidecars) if path.is_file() else {}
        if _root(uid_of(stored)) == uid and uid_of(stored) != uid:
            tags |= _seen_by_switch(stored)
        if uid_of(stored) == uid:
            came_with = {tag: value for tag, value in stored.items() if tag.startswith("first.")}
            return Came(uid, name, time_of(event), {**tags, **came_with}, path)
    return Came(uid, name, time_of(event), tags)


def _seen_by_switch(stored: Tags) -> Tags:
    """What the switch saw of the content of the file from which one with the tags *stored* was made.

    Content tags are of the last file that went through the switch: where one did only, it was the one that came in.
    """
    visits = sum(name.endswith(".switch.main.enter_step") for name in stored)
    return {name: stored[name] for name in CONTENT_TAGS if name in stored} if visits == 1 else {}


def summary(came: Sequence[Came], found: Sequence[Change]) -> dict[str, Any]:
    """For JSON (pure)."""
    changed = [change.facts for change in found if change.gains or change.loses]
    return {
        "files": len(came),
        "since": came[0].time if came else None,
        "content_not_at_hand": sum(one.path is None for one in came),
        "same": len(came) - len(found),
        "changed": changed,
        "unknown": [change.facts for change in found if not (change.gains or change.loses)],
    }
