"""File: path, identity, name and tags of a file that a step has claimed."""

from __future__ import annotations

import os
from pathlib import Path

from mfdata.storage.tags import Tags, uid_of


class File:
    """A file that a step has claimed: where it lies, what it is called, its tags.

    ``basename`` is its present logical name as ``os.fsdecode`` gives it, which is not the name under which it lies on
    disk.

    Args:
        path: where the file lies.
        tags: values by name: names are texts, values are bytes without an encoding of their own, which travel as they
            are; texts in tags that MetWork itself sets are UTF-8, names of files the bytes of the file system. A step
            may change them in place; all of them together fit best into 4 kB.
    """

    __slots__ = ("_path", "place", "tags")

    def __init__(self, path: str | Path, tags: Tags) -> None:
        #: Where the file lies, as text: what ``path`` is made from.
        self.place = os.fspath(path)
        self.tags = tags
        # Made when it is asked for: that costs as much as a system call, and not every step asks.
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """Where the file lies, as a path."""
        if self._path is None:
            self._path = Path(self.place)
        return self._path

    @property
    def basename(self) -> str:
        """The name that the file has for people, as text: as it came, or as the last step that made it called it."""
        return os.fsdecode(self.tags.get("latest.core.original_basename") or os.fsencode(os.path.basename(self.place)))

    @property
    def stem(self) -> str:
        """``basename`` without its last suffix, as text."""
        return os.path.splitext(self.basename)[0]

    @property
    def suffix(self) -> str:
        """The last suffix of ``basename`` with its dot, as text; '' = it has none."""
        return os.path.splitext(self.basename)[1]

    @property
    def uid(self) -> str:
        """The identity of the file as text, the same at each try: what makes a sender idempotent."""
        return uid_of(self.tags)

    @property
    def size(self) -> int:
        """The size of the file in bytes, as it is now.

        Raises:
            FileNotFoundError: the step has removed it.
        """
        return os.stat(self.place).st_size
