"""The least that could do the routing work: one process, inotify, libmagic on 2 KB, rename; no tags, no log.

``python benchmarks/reference.py INCOMING DESTINATION`` moves PNG files to DESTINATION and removes the others, as the
module under measure is told to. It can lose files in every way that MetWork must not: it is a yardstick of speed.
"""

from __future__ import annotations

import os
import sys

import magic
from inotify_simple import INotify, flags


def route(incoming: str, destination: str) -> None:
    """Route what appears in *incoming*, for ever."""
    kinds = magic.Magic()
    watch = INotify()
    watch.add_watch(incoming, flags.CLOSE_WRITE | flags.MOVED_TO)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for event in watch.read():
            path = f"{incoming}/{event.name}"
            with open(path, "rb") as file:  # noqa: PTH123  # pathlib costs as much as the rename
                kind = kinds.from_buffer(file.read(2048))
            if kind.startswith("PNG image"):
                os.rename(path, f"{destination}/{event.name}")  # noqa: PTH104
            else:
                os.unlink(path)  # noqa: PTH108


if __name__ == "__main__":
    route(sys.argv[1], sys.argv[2])
