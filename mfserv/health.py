"""Health: whether an app answers as it should."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from mfext.environment import Home

#: Seconds that the app may take to answer.
_ANSWER = 5.0


async def healthy(home: Home, socket: str, path: str) -> bool:
    """Whether the app on *socket*, below the home's folder of run-time state, answers *path* with less than 400."""
    folder = os.open(home.run, os.O_RDONLY)
    try:
        async with asyncio.timeout(_ANSWER):
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{socket}")
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    finally:
        os.close(folder)
    with suppress(IndexError, ValueError):
        return int(line.split()[1]) < 400
    return False
