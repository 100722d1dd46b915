"""A live view of the work: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """How far the work is."""

    uploaded: int
    waiting: int
    archived: int
    kept: int
    sent: int

    def bar(self, total: int, width: int = 24) -> str:
        """The share of the *total* files that came to their end, as a bar."""
        full = width * (self.kept + self.sent) // total
        return "#" * full + "-" * (width - full)

    def line(self, total: int) -> str:
        """All of it in one line."""
        return (
            f"[{self.bar(total)}] uploaded {self.uploaded:2}/{total}   waiting {self.waiting:2}   "
            f"archived {self.archived:2}   kept {self.kept:2}   on the other machine {self.sent:2}"
        )


class Progress:
    """The view; use it in a ``with`` so that the terminal is left in order."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._is_terminal = sys.stdout.isatty()
        self._shown = ""
        self._next_line = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            print()

    def show(self, counts: Counts, *, last: bool = False) -> None:
        """Show *counts*; off a terminal at most once a second, and the *last* ones."""
        line = counts.line(self._total)
        now = time.monotonic()
        if self._is_terminal:
            print(f"\r{line}", end="", flush=True)
        elif line != self._shown and (last or now >= self._next_line):
            print(line, flush=True)
            self._shown, self._next_line = line, now + 1
