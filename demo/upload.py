"""What the producers do: bring files by FTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from ftplib import FTP
from io import BytesIO

from demo.inputs import Input


def upload(files: Sequence[Input], port: int, user: str, password: str, each: Callable[[int], None]) -> None:
    """Upload *files* to the receiver on loopback; *each* is told how many it has acknowledged so far."""
    # With this encoding every byte of a name passes as it is, UTF-8 or not.
    with FTP(encoding="latin-1") as ftp:  # noqa: S321  # nosec: loopback, to show that files come in by FTP
        ftp.connect("127.0.0.1", port, timeout=60)
        ftp.login(user, password)
        for count, file in enumerate(files, 1):
            ftp.storbinary(f"STOR {os.fsencode(file.name).decode('latin-1')}", BytesIO(file.content))
            each(count)
