"""Showing something again and again: on a terminal in its place, elsewhere one below the other."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from mfext.commands.output import colour

#: Exit status of a command that was interrupted, as shells give it.
_INTERRUPTED = 130
#: A screen of its own, without a cursor, on which lines that are too long are cut; and back to what was there.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
#: To the upper left corner; what is left of a line, of the screen is emptied.
_CORNER, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(text: Callable[[], str], interval: float, *, in_place: bool = True) -> int:
    """Show what *text* gives every *interval* seconds, until Ctrl-C; the exit status.

    Args:
        text: makes it anew.
        interval: seconds between the end of one and the next.
        in_place: on a terminal, each takes the place of the one before.
    """
    try:
        if not (in_place and sys.stdout.isatty()):
            while True:
                click.echo(text(), color=colour())
                sys.stdout.flush()
                time.sleep(interval)
        with _own_screen():
            while True:
                shown = text() if colour() is None else click.unstyle(text())
                sys.stdout.write(frame(shown, shutil.get_terminal_size().lines))
                sys.stdout.flush()
                time.sleep(interval)
    except KeyboardInterrupt:
        return _INTERRUPTED


def frame(text: str, height: int) -> str:
    """What a terminal of *height* lines is sent to show *text* in the place of what it shows (pure).

    Nothing is emptied that is written anew, so that nothing flickers; what has no room is counted in the last line.
    """
    lines = text.splitlines()
    if len(lines) > height:
        lines[height - 1 :] = [f"... {len(lines) - height + 1} more line(s)"]
    return _CORNER + "\n".join(f"{line}{_END_OF_LINE}" for line in lines) + _END_OF_SCREEN


@contextmanager
def _own_screen() -> Iterator[None]:
    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        sys.stdout.write(_ENTER)
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, before)
