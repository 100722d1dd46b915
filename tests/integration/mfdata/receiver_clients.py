"""Receivers whose files are taken at once, as the observer does, and clients that are programs of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from mfext.testing import wait_until
from tests.integration.mfdata.receivers.receiver_process import ReceiverProcess

USER, PASSWORD = "producer", "secret-of-the-producer"
#: What clients send: some are empty, some are larger than what the network holds.
CONTENTS = {"empty.txt": b"", "one.grib2": b"GRIB" * 1000, "two words.png": os.urandom(3_000_000)}
_IGNORED = (".tmp", ".partial", ".part", ".filepart")


class TakingReceiver(ReceiverProcess):
    """Its files are moved to a folder of their own, where copies of one name are told apart."""

    #: The certificate, for clients that look at it.
    ca: Path

    @classmethod
    @contextmanager
    def taking(cls, folder: Path, **keys: object) -> Iterator[Self]:
        ended = threading.Event()
        with cls.running(folder, user=USER, password=PASSWORD, **keys) as receiver:
            receiver.taken.mkdir()
            thread = threading.Thread(target=receiver._take, args=(ended,))
            thread.start()
            try:
                yield receiver
            finally:
                ended.set()
                thread.join()

    @property
    def taken(self) -> Path:
        return self.home.tmp / "taken"

    def arrived(self) -> list[tuple[str, bytes]]:
        return sorted((path.name.partition("!")[2], path.read_bytes()) for path in self.taken.iterdir())

    def check_arrived(self, names: list[str] | None = None) -> None:
        """Each of *names* (else all) is there once, and nothing besides."""
        expected = [(name, CONTENTS[name]) for name in sorted(names or CONTENTS)]
        wait_until(lambda: len(self.arrived()) >= len(expected), what="the files")
        assert [(name, len(content)) for name, content in self.arrived()] == [(n, len(c)) for n, c in expected]
        assert self.arrived() == expected
        assert self.files() == {}

    def _take(self, ended: threading.Event) -> None:
        count = 0
        while not ended.wait(0.001):
            for path in self.incoming.iterdir():
                if not path.name.startswith(".") and not path.name.endswith(_IGNORED):
                    with suppress(FileNotFoundError):
                        path.rename(self.taken / f"{count}!{path.name}")
                        count += 1


def written(folder: Path) -> Path:
    """*folder*, made, with the files that clients send."""
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def run(*words: object) -> str:
    """What a client says; it must succeed."""
    program = str(words[0])
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [str(word) for word in words],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
