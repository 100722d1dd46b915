"""Health: whether an app answers as it should."""

from __future__ import annotations

import asyncio

from mfext.environment import Home
from mfext.net.unix import open_connection

#: Seconds that the app may take to answer.
_ANSWER = 5.0


async def healthy(home: Home, socket: str, path: str) -> bool:
    """Whether the app on *socket*, below the home's folder of run-time state, answers *path* with less than 400."""
    try:
        async with asyncio.timeout(_ANSWER):
            reader, writer = await open_connection(home.run / socket)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                return 200 <= await _status(reader) < 400
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, IndexError):
        return False


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer that counts: what comes before it (1xx) says only that there will be one."""
    while True:
        status = int((await reader.readline()).split()[1])
        if status >= 200 or status == 101:
            return status
        while (await reader.readline()).strip():
            pass
