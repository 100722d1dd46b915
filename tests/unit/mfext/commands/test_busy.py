from __future__ import annotations

import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mfext.commands.busy import Busy


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What a terminal on which standard error is shown gets; pytest sets its own between a fixture and its test."""
    master, slave = pty.openpty()
    with open(slave, "w") as file, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stderr", file)
        yield master
    os.close(master)


class Waits:
    """Waits that are over when a test says so, and at the end of what is waited for."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.begins, self.is_over = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, ended: threading.Event, seconds: float) -> bool:
        self.asked.append(seconds)
        self.begins.release()
        while not self.is_over.acquire(timeout=0.01):
            if ended.is_set():
                return True
        return False


def test_what_is_over_soon_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    with terminal(monkeypatch) as shown:
        with Busy("it starts", waits):
            assert waits.begins.acquire(timeout=60)
        sys.stderr.write("end")
        sys.stderr.flush()
        assert os.read(shown, 1000) == b"end"
    assert waits.asked == [2.0]


def test_what_takes_long_is_said_and_the_line_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    with terminal(monkeypatch) as shown:
        with Busy("files go back", waits) as busy:
            assert waits.begins.acquire(timeout=60)
            for name in busy.each(["a", "b", "c"]):
                if name == "b":
                    waits.is_over.release()
                    assert waits.begins.acquire(timeout=60)
        said = ""
        while said.count("\x1b[K") < 2:  # a terminal gives what it has
            said += os.read(shown, 1000).decode()
    assert re.fullmatch(r"\r\x1b\[Kfiles go back, 1 of 3 \.\.\. \d+s\r\x1b\[K", said)


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    waits = Waits()
    with Busy("it starts", waits) as busy:
        assert [*busy.each([1, 2])] == [1, 2]
    assert waits.asked == []
    assert capsys.readouterr() == ("", "")
