"""Replay: a file that was here before comes in again: as a copy, with a new uid, marked with the old one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mfdata.operations.history import uids_of
from mfdata.operations.injection import into_queue
from mfdata.quarantine.quarantine import kept_files
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import REPLAY_OF, Tags, read_tags, uid_of
from mfdata.storage.trace import Trace, life
from mfext.errors import MetworkError, UsageError

#: Suffix of the file beside an archived one that tells its tags.
TAGS_SUFFIX = ".tags"

#: Tags that are about the way that the file went, not about the file.
_OF_ITS_WAY = re.compile(r"latest\.core\.|latest\.switch\.main\.|\d+\.[^.]+\.[^.]+\.enter_step$")
_ESCAPED = re.compile(r"\\(\\|[nrt]|x[0-9a-f]{2})")
_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Source:
    """A file from which another one can be made again."""

    path: Path
    #: All that is known of its tags; {} when nothing is.
    tags: Tags
    #: The step in whose quarantine it is, if it is in one.
    kept_by: Target | None = None

    @property
    def uid(self) -> str:
        """Its identity when it was here; '' when that is not known."""
        return uid_of(self.tags)

    @property
    def name(self) -> str:
        """The name that it had for people."""
        return os.fsdecode(self.tags.get("latest.core.original_basename", b"")) or self.path.name


def find(places: Places, what: str, folder: Path | None = None) -> Source:
    """The file that *what* means, a uid or a name: the newest in quarantine, then where its trace says that it was put.

    Args:
        places: of the home.
        what: uid or name.
        folder: look in and below this folder instead.

    Raises:
        UsageError: there is no such folder.
        MetworkError: it is nowhere.
    """
    uids = uids_of(places.home, places, what)
    if folder is None:
        found = next(_here(places, what, uids), None)
    elif folder.is_dir():
        found = max(_below(folder, what, uids), key=lambda source: source.path.stat().st_mtime, default=None)
    else:
        raise UsageError("there is no such folder", where=str(folder))
    if found is None:
        where = f"below {folder}" if folder else "in quarantine or where its trace says that it was put"
        known = "" if uids else "; no trace tells of it"
        raise MetworkError(f'no file "{what}" is {where}{known}', mend="Name an archive with --from FOLDER.")
    return found


def replay(source: Source, places: Places, target: Target, trace: Trace) -> str:
    """Put a copy of *source* into the queue of *target*; the uid that it got."""
    tags = {name: value for name, value in source.tags.items() if not _OF_ITS_WAY.match(name)}
    if source.uid:
        tags[REPLAY_OF] = source.uid.encode()
    uid = into_queue(
        source.path,
        places,
        target,
        trace,
        keep=True,
        name=os.fsencode(source.name),
        dirname=source.tags.get("first.core.original_dirname", b""),
        tags=tags,
        facts={"replay_of": source.uid, "from": os.fspath(source.path)},
    )
    if source.uid:
        facts = {"event": "replayed", "uid": source.uid, "name": source.name, "as": uid, "from": source.path}
        of = {"plugin": source.kept_by.plugin, "step": source.kept_by.step} if source.kept_by else {}
        trace.write({**facts, **of})
    return uid


def tags_of(path: Path, sidecars: Path) -> Tags:
    """The tags of the file at *path*, with it or beside it; {} when they are not known."""
    with suppress(OSError):
        if tags := read_tags(path, sidecars):
            return tags
    with suppress(OSError):
        beside = path.with_name(path.name + TAGS_SUFFIX)
        return parsed_tags(beside.read_text("utf-8", errors="surrogateescape"))
    return {}


def parsed_tags(text: str) -> Tags:
    """The tags in the text that the step ``archive`` writes beside a file (pure)."""
    pairs = (line.split(" = ", 1) for line in text.split("\n") if " = " in line)
    return {name: os.fsencode(_ESCAPED.sub(_unescaped, value)) for name, value in pairs}


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1]) or chr(int(found[1][1:], 16))


def _here(places: Places, what: str, uids: list[str]) -> Iterator[Source]:
    kept = [one for one in kept_files(places) if one.uid in (what, *uids) or one.name == what]
    for one in sorted(kept, key=lambda one: one.time, reverse=True):
        yield Source(one.path, read_tags(one.path, places.sidecars), one.target)
    for uid in uids:
        for path in _put_at(places, uid):
            tags = tags_of(path, places.sidecars) or {"first.core.original_uid": uid.encode()}
            # Another file may have taken its place since.
            if path.is_file() and uid_of(tags) == uid:
                yield Source(path, tags)


def _put_at(places: Places, uid: str) -> Iterator[Path]:
    """Where the file *uid* was put, by its trace, the last place first."""
    for event in reversed([event for event in life(places.home, uid) if event.get("uid") == uid]):
        to = event.get("to")
        yield from (Path(str(one)) for one in (to if isinstance(to, list) else ()) if str(one).startswith("/"))


def _below(folder: Path, what: str, uids: list[str]) -> Iterator[Source]:
    for path in folder.rglob("*"):
        if path.name.startswith(".") or path.name.endswith(TAGS_SUFFIX) or path.is_symlink() or not path.is_file():
            continue
        source = Source(path, tags_of(path, folder))
        if source.uid in (what, *uids) or what in (source.name, path.name):
            yield source
