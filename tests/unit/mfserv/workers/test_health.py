from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mfext.testing import temporary_home
from mfserv.workers.health import healthy


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 500 No\r\n\r\n", False),
        (b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 503 No\r\n\r\n", False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", False),
        (b"HTTP/1.1 101 Switching\r\n\r\n", False),
        (b"what?\r\n", False),
        (b"", False),
    ],
)
def test_only_the_final_answer_says_whether_an_app_is_well(tmp_path: Path, said: bytes, expected: bool) -> None:
    home = temporary_home(tmp_path, "mfserv")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async def ask() -> bool:
        async with await asyncio.start_unix_server(answer, home.run / "app.sock"):
            return await healthy(home, "app.sock", "/health")

    assert asyncio.run(ask()) is expected
