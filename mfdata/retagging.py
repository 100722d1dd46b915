"""Retagging: other tags for a file that may share its content, and so its attribute, with others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mfdata.file import is_own, own_copy, read_tags, write_tags


def retag(path: Path, tags: Mapping[str, bytes], sidecars: Path) -> None:
    """Let the file at *path* have *tags* and no other; those that share its inode keep theirs.

    Raises:
        OSError: it has the tags that it had.
    """
    if read_tags(path, sidecars) == tags:
        return
    if not is_own(path):
        own_copy(path)
    write_tags(path, tags, sidecars)
