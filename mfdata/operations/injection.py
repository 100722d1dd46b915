"""Injection: give files to mfdata by hand, as a producer would, or straight to a step."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mfdata.storage.names import waiting_name
from mfdata.storage.placement import QUARANTINE, place
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import Tags, first_tags, new_uid, write_tags
from mfdata.storage.trace import Trace
from mfext.errors import Conflict, UsageError
from mfext.fs.copy import copy, hidden_copy
from mfext.fs.sync import make_synced_folder, sync_file, sync_folder

#: How long the observer may take to free a name in an incoming directory.
_WAIT_S = 10.0


def into_directory(source: Path, directory: Path, *, keep: bool, is_running: bool = True) -> Path:
    """Put *source* into an external directory, complete when it appears; where it was put.

    Args:
        source: the file.
        directory: the external directory.
        keep: leave *source* where it is.
        is_running: the observer may free a name that is taken, so that it is waited for.

    Raises:
        UsageError: it is no file, or there is no such directory.
        Conflict: a file of that name stays there.
    """
    _check_file(source)
    if not directory.is_dir():
        raise UsageError("there is no such directory", where=str(directory), mend='"mfdata.start" makes it.')
    target = directory / source.name
    deadline = time.monotonic() + (_WAIT_S if is_running else 0.0)
    while True:
        _wait_until_free(target, deadline)
        with suppress(FileExistsError):  # a producer was quicker
            _put_new(source, target, keep=keep)
            return target


def _put_new(source: Path, target: Path, *, keep: bool) -> None:
    if not keep:
        place(source, target, QUARANTINE)
        return
    with hidden_copy(source, target.parent) as part:
        place(part, target, QUARANTINE)
    sync_folder(target.parent)


def into_queue(
    source: Path,
    places: Places,
    target: Target,
    trace: Trace,
    *,
    keep: bool,
    name: bytes = b"",
    dirname: bytes = b"",
    tags: Tags | None = None,
    facts: Mapping[str, object] | None = None,
) -> str:
    """Put *source* into the queue of *target*; the uid that it got.

    Args:
        source: the file.
        places: of the home.
        target: the step that gets it.
        trace: where it is recorded.
        keep: leave *source* where it is.
        name: the name that it comes in with; b'' = its own.
        dirname: the incoming directory that it seems to come in through; b'' = the name of its folder.
        tags: tags that it has besides the first ones.
        facts: what the event has besides.

    Raises:
        UsageError: it is no file.
    """
    _check_file(source)
    uid, name = new_uid(), name or os.fsencode(source.name)
    waiting = waiting_name(name)
    tags = {**(tags or {}), **first_tags(uid, name, dirname or os.fsencode(source.absolute().parent.name))}
    queue = places.queue(target)
    for folder in (queue, places.intake):
        make_synced_folder(folder)
    part = places.intake / f".{waiting}"
    facts = {"uid": uid, "name": os.fsdecode(name), "file": waiting, "to": [str(target)], **(facts or {})}
    try:
        copy(source, part)
        write_tags(part, tags, places.sidecars, waiting, sync=True)
        sync_file(part)
        trace.write({"event": "injected", **facts})
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    try:
        part.rename(queue / waiting)
    except OSError as error:
        trace.write({"event": "ignored", **facts, "reason": str(error)})
        part.unlink()
        raise
    if not keep:
        sync_folder(queue)  # or a power cut could take both
        source.unlink()
    return uid


def _check_file(source: Path) -> None:
    if not source.is_file():
        found = "this is not a file" if source.exists() else "there is no such file"
        raise UsageError(found, where=str(source))


def _wait_until_free(target: Path, deadline: float) -> None:
    while os.path.lexists(target):
        if time.monotonic() >= deadline:
            raise Conflict(
                "a file of this name waits there and is not taken",
                where=str(target),
                mend='Is mfdata running? See "mfdata.status" and log/observer.log.',
            )
        time.sleep(0.01)
