"""Doorbell: processes of one host tell each other that something happened, without a server and without waiting."""

from __future__ import annotations

import os
from pathlib import Path

from inotify_simple import flags as inotify

from mfext.fs.inotify import new_inotify


def ring(folder: Path, kind: str) -> None:
    """Ring the bell *kind* for everybody who listens at *folder*."""
    path = folder / kind
    try:
        os.utime(path)
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()


class Doorbell:
    """One listener."""

    def __init__(self, folder: Path, kinds: frozenset[str]) -> None:
        """Listen at *folder* to what is rung of *kinds*, and be woken by nothing else."""
        folder.mkdir(parents=True, exist_ok=True)
        self._inotify = new_inotify()
        self._kinds: dict[int, str] = {}
        for kind in sorted(kinds):
            (folder / kind).touch()
            self._kinds[self._inotify.add_watch(folder / kind, inotify.ATTRIB | inotify.Q_OVERFLOW)] = kind

    @property
    def fd(self) -> int:
        """Becomes readable when it rings."""
        return int(self._inotify.fd)

    def heard(self) -> set[str]:
        """What rang since the last call."""
        events = self._inotify.read(timeout=0)
        if any(event.mask & inotify.Q_OVERFLOW for event in events):
            return set(self._kinds.values())
        return {self._kinds[event.wd] for event in events if event.wd in self._kinds}

    def close(self) -> None:
        """Listen no more."""
        self._inotify.close()
