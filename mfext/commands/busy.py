"""A line on the terminal that says what takes long."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from mfext.environment import variables
from mfext.log import printable
from mfext.table import duration

T = TypeVar("T")

#: Seconds after which something takes long, and between two changes of the line.
_LONG, _PAUSE = 2.0, 0.5
_EMPTY_LINE = "\r\x1b[K"


class Busy:
    """Says on a terminal what takes longer than two seconds, for how long already, and how far it is.

    ``with Busy("mfdata starts"):`` The line is on standard error, and is gone when it is over; where no terminal reads
    it there is none.
    """

    def __init__(self, text: str, wait: Callable[[threading.Event, float], bool] = threading.Event.wait) -> None:
        """*text*: what is done. *wait*: waits for the end of it, at most so many seconds; whether it has ended."""
        self.text = text
        self.done = self.total = 0
        self._wait = wait
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Busy:
        if sys.stderr.isatty() and variables().get("TERM") != "dumb":
            self._thread = threading.Thread(target=self._show, args=(time.monotonic(),), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    def each(self, items: Collection[T]) -> Iterator[T]:
        """*items*, one after the other; how many of them are done is shown."""
        self.done, self.total = 0, len(items)
        for item in items:
            yield item
            self.done += 1

    def _show(self, began: float) -> None:
        if self._wait(self._ended, _LONG):
            return
        while True:
            count = f", {self.done} of {self.total}" if self.total else ""
            line = printable(f"{self.text}{count} ... {duration(time.monotonic() - began)}")
            # One that fills the last column would be followed by an empty one.
            sys.stderr.write(f"{_EMPTY_LINE}{line[: shutil.get_terminal_size().columns - 1]}")
            sys.stderr.flush()
            if self._wait(self._ended, _PAUSE):
                break
        sys.stderr.write(_EMPTY_LINE)
        sys.stderr.flush()
