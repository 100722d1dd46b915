"""Gathered: bodies that are not whole yet: the long ones lie on disk, within bounds that no client can go beyond."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import SpooledTemporaryFile

#: Bytes of a body that are kept in memory, and that are read at once.
_IN_MEMORY, _PIECE = 1 << 16, 1 << 16
#: One address may have one of so many parts of the bytes on disk.
_SHARES = 4


class Room:
    """The room on disk, shared by all bodies."""

    def __init__(self, folder: Path) -> None:
        """*folder* is where the files are; their names are never seen there."""
        self.folder = folder
        #: Bytes on disk, by address.
        self.used: Counter[bytes] = Counter()

    def is_there(self, address: bytes, most: int) -> bool:
        """Whether *address* may have more on disk, where *most* bytes may be of all."""
        return self.used[address] < most // _SHARES and self.used.total() < most

    def take(self, address: bytes, size: int) -> None:
        """*address* has *size* bytes more on disk; fewer, when it is negative."""
        self.used[address] += size
        if not self.used[address]:
            del self.used[address]


class Gathered:
    """What has come of a body, in order."""

    def __init__(self, room: Room, address: bytes) -> None:
        #: Bytes that were added.
        self.size = 0
        self.room = room
        self.address = address
        self._file = SpooledTemporaryFile(_IN_MEMORY, dir=str(room.folder))  # noqa: SIM115
        self._on_disk = 0

    async def add(self, piece: bytes) -> None:
        """Keep *piece*.

        Raises:
            OSError: there is no room left on the disk.
        """
        self.size += len(piece)
        if self.size <= _IN_MEMORY:
            self._file.write(piece)
            return
        grown = self.size - self._on_disk
        self.room.take(self.address, grown)
        self._on_disk += grown
        await asyncio.to_thread(self._file.write, piece)

    def rewind(self) -> None:
        """Go to the beginning, to read."""
        self._file.seek(0)

    async def next(self) -> bytes:
        """The next bytes; b'' after the last."""
        return await asyncio.to_thread(self._file.read, _PIECE) if self._on_disk else self._file.read(_PIECE)

    def drop(self) -> None:
        """Forget it."""
        self._file.close()
        self.room.take(self.address, -self._on_disk)
        self._on_disk = 0
