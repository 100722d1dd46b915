"""FTP folder: what a session of the FTP receiver sees of its folder."""

from __future__ import annotations

import os
import stat
from typing import Any

import pyftpdlib.ioloop  # noqa: F401 - first: it silences what importing asyncore says
from pyftpdlib.filesystems import AbstractedFS

from mfdata.receivers.upload import PREFIX


class Folder(AbstractedFS):  # type: ignore[misc]
    """One folder, without the files that are being received, with what this client has sent a moment ago."""

    #: Whether listings have what was received a moment ago; who asks by name is told of it at any time.
    lists_received = False

    # What AbstractedFS gives: the session.
    cmd_channel: Any

    def listdir(self, path: str) -> list[str]:
        there = [name for name in super().listdir(path) if not name.startswith(PREFIX)]
        return [*there, *(self.cmd_channel.received.names() - set(there))] if self.lists_received else there

    def stat(self, path: str) -> os.stat_result:
        received = self.cmd_channel.received.find(path)
        try:
            found = os.stat(self.cmd_channel.real(path))
        except OSError:
            if received is None:
                raise
            mode, times = stat.S_IFREG | 0o640, (received.changed,) * 3
            return os.stat_result(
                (mode, hash(path) & 0xFFFFFFFF, 0, 1, os.getuid(), os.getgid(), received.size, *times)
            )
        if received is None or stat.S_ISDIR(found.st_mode):
            return found
        return os.stat_result((*found[:7], *(received.changed,) * 3))

    lstat = stat

    def isfile(self, path: str) -> bool:
        try:
            return stat.S_ISREG(self.stat(path).st_mode)
        except OSError:
            return False

    def getsize(self, path: str) -> int:
        return self.stat(path).st_size

    def getmtime(self, path: str) -> float:
        return self.stat(path).st_mtime

    def lexists(self, path: str) -> bool:
        return self.isfile(path) or bool(super().lexists(path))
