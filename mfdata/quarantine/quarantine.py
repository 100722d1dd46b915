"""Quarantine: files that are kept, each with the reason beside it; list, put back, drop."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mfdata.file import File
from mfdata.quarantine.index import indexed, note
from mfdata.storage.folder_listing import names_in
from mfdata.storage.names import renamed
from mfdata.storage.places import Places, Target, target_of_folder
from mfdata.storage.retag import retag
from mfdata.storage.tags import (
    CRASHES,
    DIED_IN,
    PUT_BACK,
    Tags,
    before_entry,
    discard,
    forget_sidecar,
    read_tags,
    uid_of,
)
from mfdata.storage.trace import Trace, encoded
from mfext.clock import age
from mfext.disk import is_no_room
from mfext.errors import Conflict
from mfext.fs.atomic import replacing_file
from mfext.fs.lock import try_lock
from mfext.fs.sync import sync_file, sync_folder

#: What the reason beside a file is called.
REASON = ".json"
_POLL_S = 0.02


@dataclass(frozen=True)
class Kept:
    """A file in quarantine."""

    path: Path
    #: The step that had it.
    target: Target
    #: What was written beside it: reason, kind, uid, name, time, ...
    reason: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """Identity of the file."""
        return str(self.reason.get("uid", ""))

    @property
    def name(self) -> str:
        """The name that the file has for people."""
        return str(self.reason.get("name", self.path.name))

    @property
    def kind(self) -> str:
        """Why it is here, in one word: failed, no_match, rule_error, poison, timeout, loop, ..."""
        return str(self.reason.get("kind", "unknown"))

    @property
    def why(self) -> str:
        """Why it is here, in a sentence."""
        return str(self.reason.get("reason", ""))

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: all that is known of it."""
        own = {"step": str(self.target), "uid": self.uid, "name": self.name, "kind": self.kind, "time": self.time}
        reason = {key: value for key, value in self.reason.items() if key != "plugin"}
        return {"reason": "", **reason, **own, "path": str(self.path)}

    @property
    def time(self) -> float:
        """When it was put here, in epoch seconds."""
        value = self.reason.get("time", 0.0)
        return float(value) if isinstance(value, (int, float)) else 0.0


def keep(
    places: Places, path: Path, target: Target, tags: Tags, reason: Mapping[str, object], *, durable: bool = False
) -> Path:
    """Put the claimed file at *path* into the quarantine of *target*; where it then lies.

    The reason comes first, so that a file in quarantine always has one. Tags are stored when they have changed.

    Args:
        places: of the home.
        path: the file; its name is kept.
        target: the step that had it.
        tags: all its tags.
        reason: ``reason`` (a sentence), ``kind`` (a word), and what else helps: ``traceback``, ``rule``, ...
        durable: the reason is on disk before its name is, so that no power cut leaves an empty one.
    """
    folder = places.quarantine(target)
    folder.mkdir(parents=True, exist_ok=True)
    retag(path, tags, places.sidecars, durable=durable)
    name = File(path, tags).basename
    known = {"plugin": target.plugin, "step": target.step, "uid": uid_of(tags), "name": name, "time": time.time()}
    kept = folder / path.name
    write_reason(kept, {**known, **reason}, durable=durable)
    note(places, target, path.name, {**known, **reason})
    path.rename(kept)
    if durable:
        sync_folder(folder)
    return kept


def kept_files(places: Places, target: Target | None = None) -> Iterator[Kept]:
    """The files in quarantine, of *target* or of all steps, in no order and without holding all of them."""
    for folder in [places.quarantine(target)] if target else _folders(places):
        for path in files_with_reason(folder):
            reason = _read_reason(path)
            # Put back or dropped while we look: its reason went last, or it will be gone at the next look.
            if reason is not None:
                yield Kept(path, target_of_folder(folder.name), reason)


def find_kept(places: Places, selection: Selection, now: float) -> Iterator[Kept]:
    """The files in quarantine that *selection* means, in no order; of their reasons the main facts alone.

    Of very many, most need not be opened; ``with_reason`` gives all of the reason.
    """
    for folder in _folders(places):
        target = target_of_folder(folder.name)
        names = _names_with_reason(folder)
        read = partial(_reason_in, folder)
        for name, reason in indexed(places, target, names, read, selection.names):
            kept = Kept(folder / name, target, reason)
            if selection.holds(kept, now):
                yield kept


def with_reason(kept: Kept) -> Kept | None:
    """*kept* with all of its reason; None when it is gone."""
    reason = _read_reason(kept.path)
    return None if reason is None else replace(kept, reason=reason)


def _reason_in(folder: Path, name: str) -> dict[str, Any] | None:
    return _read_reason(folder / name)


def _names_with_reason(folder: Path) -> list[str]:
    """As ``files_with_reason``, by one look at the folder."""
    try:
        listed = set(os.listdir(folder))
    except FileNotFoundError:
        return []
    ends = len(REASON)
    return [one[:-ends] for one in listed if one.endswith(REASON) and one[0] != "." and one[:-ends] in listed]


@dataclass(frozen=True)
class Selection:
    """Which files in quarantine are meant."""

    #: Uids, names of files, or names in the quarantine; () = any.
    names: tuple[str, ...] = ()
    plugin: str = ""
    kind: str = ""
    #: Seconds for which they have been there at least.
    older_than: float = 0.0

    def holds(self, kept: Kept, now: float) -> bool:
        """Whether *kept* is meant (pure)."""
        return (
            (not self.names or not {kept.uid, kept.name, kept.path.name}.isdisjoint(self.names))
            and self.plugin in ("", kept.target.plugin)
            and self.kind in ("", kept.kind)
            and age(kept.time, now) >= self.older_than
        )


def files_with_reason(folder: Path) -> Iterator[Path]:
    """The files kept in *folder*: a name counts when its reason is there, for that one comes first and goes last."""
    for name in _names_with_reason(folder):
        yield folder / name


def put_back(
    places: Places, kept: Kept, trace: Trace, to: Target | None = None, *, durable: bool = False
) -> Target | None:
    """Let its step have *kept* again, or the step *to*, as if it had never failed or crashed.

    It gets another name at the same place in the order of the queue: should it come back here while its reason is
    being removed, it has a reason of its own.

    Returns:
        Who has it now; None when it is here no longer.
    """
    target = to or kept.target
    queue = places.queue(target)
    with quarantine_lock(places):
        if not os.path.lexists(kept.path):
            return None
        queue.mkdir(parents=True, exist_ok=True)
        tags = fresh(before_entry(read_tags(kept.path, places.sidecars), kept.target.plugin, kept.target.step))
        name = renamed(kept.path.name)
        in_attribute = retag(
            kept.path, tags | {PUT_BACK: b"%.3f" % time.time()}, places.sidecars, name, durable=durable
        )
        trace.write({"event": "replayed", **_facts_of(kept), "from": "quarantine", "to": [str(target)]})
        kept.path.rename(queue / name)
        if durable:
            sync_folder(queue)
        if not in_attribute:
            forget_sidecar(places.sidecars, kept.path.name)
        forget_reason(kept.path)
    return target


def drop(places: Places, kept: Kept, trace: Trace, by: str) -> bool:
    """Delete *kept* for ever; whether it was still here. *by* says whose will it was, for the trace."""
    event = {"event": "dropped", "rule": by, "reason": f"dropped from quarantine by {by}"}
    with quarantine_lock(places):
        return _delete(places, kept, trace, event)


def expire(places: Places, kept: Kept, trace: Trace, rule: str) -> bool:
    """Delete *kept*, which has been there for too long, by the named *rule*; whether it was still here.

    Raises:
        Conflict: somebody else is at work here; another time.
    """
    with quarantine_lock(places, wait=0.0):
        return _delete(
            places, kept, trace, {"event": "expired", "rule": rule, "reason": f"it was {kept.kind}: {kept.why}"}
        )


def _delete(places: Places, kept: Kept, trace: Trace, event: Mapping[str, object]) -> bool:
    if not os.path.lexists(kept.path):
        return False
    full_event = {**_facts_of(kept), **event}
    is_recorded = _record_if_there_is_room(trace, full_event)
    discard(kept.path, places.sidecars)
    forget_reason(kept.path)
    if not is_recorded:
        trace.write(full_event)
    return True


def _record_if_there_is_room(trace: Trace, event: Mapping[str, object]) -> bool:
    """Whether *event* could be written: on a full disk, it is the deletion that makes room for the line."""
    try:
        trace.write(event)
    except OSError as error:
        if not is_no_room(error):
            raise
        return False
    return True


@contextmanager
def quarantine_lock(places: Places, wait: float = 10.0) -> Iterator[None]:
    """Be the only one who takes files out of quarantine; to put one in nobody needs the lock.

    Raises:
        Conflict: another had it for *wait* seconds.
    """
    folder = os.open(places.quarantines, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + wait
        while not try_lock(folder):
            if time.monotonic() >= deadline:
                raise Conflict(
                    f"another command has been at work on the quarantine for more than {wait:g} s",
                    where=str(places.quarantines),
                    mend="Try again when it has ended.",
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(folder)


def fresh(tags: Tags) -> Tags:
    """*tags* without the counts of tries and crashes."""
    return {name: value for name, value in tags.items() if name not in COUNTERS}


#: Tags that count what went wrong with a file at its present step.
COUNTERS = ("latest.core.attempt", CRASHES, DIED_IN)


def _facts_of(kept: Kept) -> dict[str, object]:
    own = {"uid": kept.uid, "name": kept.name, "plugin": kept.target.plugin, "step": kept.target.step}
    # By its name on disk two files of one uid are told apart.
    return {**own, "file": kept.path.name}


def _folders(places: Places) -> list[Path]:
    return [places.quarantines / name for name in sorted(names_in(places.quarantines))]


def write_reason(kept: Path, reason: Mapping[str, object], *, durable: bool = False) -> None:
    """Write *reason* beside the file at *kept*, all or nothing."""
    beside = kept.with_name(kept.name + REASON)
    with replacing_file(beside) as unfinished:
        unfinished.write_text(encoded(reason), encoding="ascii")
        if durable:
            sync_file(unfinished)


def _read_reason(path: Path) -> dict[str, Any] | None:
    """The reason beside *path*; None when it is gone, {} when it cannot be understood."""
    try:
        reason = json.loads(path.with_name(path.name + REASON).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return reason if isinstance(reason, dict) else {}


def forget_reason(path: Path) -> None:
    """Delete the reason beside *path*, which is there no longer."""
    with suppress(FileNotFoundError):
        path.with_name(path.name + REASON).unlink()
