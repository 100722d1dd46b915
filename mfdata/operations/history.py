"""Life: all that happened to one file, across steps and fan-outs, and where it and what was made of it are now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfdata.operations.backlog import files_on_disk, stored_tags
from mfdata.storage.names import readable_end
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import read_tags, uid_of
from mfdata.storage.trace import Event, encoded, events, is_related, life, time_of, uids_of_name
from mfext.clock import age
from mfext.environment import Home
from mfext.log import printable, utc
from mfext.table import duration

#: What an event's line says without naming it.
_SHOWN = ("t", "boot", "up", "uid", "name", "plugin", "step", "event", "to", "file")

#: Characters of a reason that are shown.
_REASON = 1000


@dataclass(frozen=True)
class Place:
    """Where a file is now."""

    #: waiting, claimed, delayed or quarantined.
    state: str
    target: Target
    path: Path
    uid: str

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"state": self.state, "step": str(self.target), "path": str(self.path), "uid": self.uid}


@dataclass(frozen=True)
class Life:
    """The life of one file."""

    uid: str
    #: The name with which it came in, or that the step gave it which made it.
    name: str
    events: tuple[Event, ...]
    places: tuple[Place, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON."""
        places = [place.facts for place in self.places]
        return {"uid": self.uid, "name": self.name, "places": places, "events": list(self.events)}

    @property
    def text(self) -> str:
        """For a person: one line an event, then where it is."""
        lines = [f"{self.name}  {self.uid}", *(event_text(event, self.uid) for event in self.events)]
        lines += [_place_text(place, self.uid) for place in self.places]
        if not self.places:
            lines.append("now: no longer in mfdata")
        return "\n".join(map(printable, lines))


def uids_of(home: Home, places: Places, text: str) -> list[str]:
    """Uids of the files that *text* means: a uid, the path of a file with tags, or a name.

    Of a name, first those that came in by it, then those that steps made, newest first.
    """
    if _is_uid(text) and life(home, text):
        return [text]
    with suppress(OSError):
        uid = uid_of(read_tags(text, places.sidecars))
        if uid:
            return [uid]
    name = os.path.basename(text)
    return [*uids_of_name(home, name), *made_by_name(home, name)]


def made_by_name(home: Home, name: str) -> list[str]:
    """Uids of the files that a step made and called *name*, newest first."""
    found = events(home, containing=encoded(name)[1:-1].encode("ascii"))
    made = [str(event["uid"]) for event in found if event.get("event") == "made" and event.get("name") == name]
    return made[::-1]


def life_of(places: Places, uid: str) -> Life:
    """The life of the file *uid*, with what it was made from and what was made of it."""
    events = tuple(life(places.home, uid))
    names = {str(event["name"]) for event in events if event.get("name")}
    found = tuple(place for place in _candidates(places, names) if is_related(place.uid, uid))
    own = [event for event in events if event.get("uid") == uid] or events
    return Life(uid, next((str(event["name"]) for event in own if event.get("name")), ""), events, found)


def event_text(event: Event, uid: str = "") -> str:
    """For a person: one line, which names the file when it is not *uid*."""
    step = f"{event['plugin']}/{event['step']}" if event.get("plugin") else ""
    words = [utc(time_of(event)), f"{event.get('event', ''):<11}", f"{step:<20}"]
    if event.get("uid") != uid:
        words.append(f"{event.get('uid', '')} {event.get('name', '')}".rstrip())
    if event.get("to"):
        words.append(f"-> {', '.join(map(str, event['to']))}")
    more = {key: value for key, value in event.items() if key not in _SHOWN and value not in ("", None)}
    words += [f"{key}={_value_text(key, value)}" for key, value in more.items()]
    return " ".join(words).rstrip()


def short(text: str, length: int = 100) -> str:
    """The first line of *text*, cut when it is long."""
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= length else f"{line[: length - 3]}..."


def _is_uid(text: str) -> bool:
    root, *numbers = text.split(".")
    return len(root) == 26 and all(digit in "0123456789abcdef" for digit in root) and all(map(str.isdecimal, numbers))


def _candidates(places: Places, names: set[str]) -> Iterator[Place]:
    """The files in the framework that may be called one of *names*: what their names on disk end with tells."""
    ends = tuple(readable_end(os.fsencode(name)) for name in names)
    for state, target, path in files_on_disk(places):
        if path.name.endswith(ends):
            with suppress(FileNotFoundError):
                yield Place(state, target, path, uid_of(stored_tags(places, path)))


def _place_text(place: Place, uid: str) -> str:
    other = "" if place.uid == uid else f"{place.uid} "
    since = ""
    with suppress(FileNotFoundError):
        since = f" since {duration(age(place.path.lstat().st_ctime))}"
    return f"now: {other}{place.state} in {place.target}{since}: {place.path}"


def _value_text(key: str, value: object) -> str:
    # Times of the future are written as they are compared; the mend comes last in a reason.
    if key == "due" and isinstance(value, (int, float)):
        return utc(float(value))
    return short(str(value), _REASON if key == "reason" else 100)
