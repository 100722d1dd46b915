"""Received: what a client has sent a moment ago: it may ask for it although the file has been taken already."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

#: Seconds for which a file is remembered, and how many of them.
MOMENT, MOST = 60.0, 1000


@dataclass(frozen=True)
class Received:
    """One file."""

    size: int
    #: When it was changed last, as its client says; else when it came. Seconds since 1970.
    changed: float
    #: Until when it is remembered, on the clock of the memory.
    until: float


class Memory:
    """The files of one client by their paths."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files: dict[str, Received] = {}
        #: Connections that share it; when a file was added, on its clock.
        self.users, self.changed = 0, -math.inf

    def remember(self, path: str, size: int) -> None:
        """A file of *size* bytes was received as *path*."""
        self.changed = self._clock()
        self._files.pop(path, None)
        self._files[path] = Received(size, time.time(), self._clock() + MOMENT)
        if len(self._files) > MOST:
            del self._files[next(iter(self._files))]

    def find(self, path: str) -> Received | None:
        """What was received as *path* a moment ago."""
        found = self._files.get(path)
        return found if found and self._clock() < found.until else None

    def names(self) -> set[str]:
        """The names of what was received a moment ago."""
        return {path.rpartition("/")[2] for path in self._files if self.find(path)}

    def set_changed(self, path: str, changed: float) -> bool:
        """Note when *path* was changed last; whether it was received a moment ago."""
        found = self.find(path)
        if found:
            self._files[path] = replace(found, changed=changed)
        return found is not None

    def rename(self, path: str, wanted: str, size: int) -> None:
        """What was called *path* is called *wanted*."""
        before = self.find(path)
        self.forget(path)
        self.remember(wanted, size)
        if before:
            self.set_changed(wanted, before.changed)

    def forget(self, path: str) -> None:
        """*path* is no longer there."""
        self._files.pop(path, None)


class Memories:
    """The memory of each client, by its user and address: it lasts as long as a connection of the client.

    So a program finds what it has sent, over whichever of its connections, and sends it anew when it is run anew.
    """

    def __init__(self, grace: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """*grace*: seconds after the last file for which the next connection of a client still finds its memory."""
        self._grace = grace
        self._clock = clock
        self._memories: dict[tuple[str, str], Memory] = {}

    def join(self, user: str, address: str) -> Memory:
        """The memory of a client, for one connection more."""
        self._drop_ended()
        memory = self._memories.setdefault((user, address), Memory(self._clock))
        memory.users += 1
        return memory

    def leave(self, memory: Memory) -> None:
        """The connection for which ``join`` gave it has ended."""
        memory.users -= 1
        self._drop_ended()

    def _drop_ended(self) -> None:
        last = self._clock() - self._grace
        for key in [key for key, memory in self._memories.items() if not memory.users and memory.changed <= last]:
            del self._memories[key]
