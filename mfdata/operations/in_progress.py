"""In hand: which file each worker deals with, and since when; a step that hangs shows here."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from mfdata.file import File
from mfdata.queue.worker_folder import claimed_file, worker_folders
from mfdata.storage.names import WorkerName
from mfdata.storage.places import Places, target_of_folder
from mfdata.storage.tags import read_tags
from mfext.clock import age, is_older
from mfext.environment import Home

_WORTH_TELLING_S = 1.0


def in_hand(home: Home) -> list[dict[str, Any]]:
    """The files that have been claimed for more than a second: step, pid, uid, name, seconds."""
    places = Places(home)
    found = []
    for folder in worker_folders(places):
        path = claimed_file(folder)
        with suppress(FileNotFoundError):
            # The claim is a rename, which sets the change time.
            since = os.lstat(path).st_ctime if path else 0.0
            if path and is_older(since, _WORTH_TELLING_S):
                file = File(path, read_tags(path, places.sidecars))
                step = str(target_of_folder(folder.parent.name))
                pid = WorkerName.parsed(folder.name).pid
                found.append(
                    {"step": step, "pid": pid, "uid": file.uid, "name": file.basename, "seconds": round(age(since), 1)}
                )
    return sorted(found, key=lambda row: -row["seconds"])
