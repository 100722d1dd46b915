"""Retagging: other tags for a file that may share its content, and so its attribute, with others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mfdata.storage.tags import is_own, own_copy, read_tags, write_tags
from mfext.fs.sync import sync_file


def retag(
    path: str | Path, tags: Mapping[str, bytes], sidecars: str | Path, name: str = "", *, durable: bool = False
) -> bool:
    """Let the file at *path* have *tags* and no other; those that share its inode keep theirs.

    Args:
        path: the file.
        tags: all its tags.
        sidecars: where tags are that no attribute holds.
        name: the one under which it is about to be published, if that is another.
        durable: content and tags are on disk when this returns.

    Returns:
        Whether the tags are with the file, and in no sidecar that goes by its name.

    Raises:
        OSError: it has the tags that it had.
    """
    if not name and read_tags(path, sidecars) == tags:
        return True
    if not is_own(path):
        own_copy(path, sync=durable)
    in_attribute = write_tags(path, tags, sidecars, name, sync=durable)
    if durable:
        sync_file(path)
    return in_attribute
