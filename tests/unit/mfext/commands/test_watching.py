from __future__ import annotations

import os
import pty
import signal
import sys
from collections.abc import Iterator

import pytest

from mfext.commands.watching import frame, watch


def test_a_frame_is_written_over_the_one_before_and_empties_only_what_is_left() -> None:
    assert frame("a\nb", 5) == "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J"


def test_of_a_frame_that_is_too_high_the_last_line_counts_the_rest() -> None:
    assert frame("a\nb\nc", 3).count("\n") == 2
    assert frame("a\nb\nc\nd", 3) == "\x1b[Ha\x1b[K\nb\x1b[K\n... 2 more line(s)\x1b[K\x1b[J"


def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two texts, and Ctrl-C in the wait after the second."""

    def sleep(_: float) -> None:
        if not texts:
            raise KeyboardInterrupt

    texts = ["one", "two"]
    monkeypatch.setattr("time.sleep", sleep)
    while texts:
        yield texts.pop(0)


def test_without_a_terminal_each_is_shown_below_the_other_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = interrupted(monkeypatch)
    assert watch(lambda: next(texts), 1) == 130
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = interrupted(monkeypatch)
    master, slave = pty.openpty()
    with open(slave, "w") as terminal, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdout", terminal)
        assert watch(lambda: next(texts), 1) == 130
        said = os.read(master, 10_000).decode()
    os.close(master)
    assert said.startswith("\x1b[?1049h")
    assert said.endswith("\x1b[?1049l")
    assert said.index("one") < said.index("two")
    assert "\x1b[2J" not in said
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
