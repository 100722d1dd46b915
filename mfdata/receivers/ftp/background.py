"""Background: what takes long is done in threads, beside pyftpdlib's loop; what comes of it is used in the loop."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Threads whose results wake the loop, which has it as one of its connections."""

    def __init__(self, loop: Any, threads: int) -> None:
        """*loop*: pyftpdlib's; *threads*: so many at one time."""
        self._threads = ThreadPoolExecutor(threads, "background")
        self._done: deque[Callable[[], None]] = deque()
        self._fileno = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.register(self._fileno, self, loop.READ)

    def run(self, work: Callable[[], T], done: Callable[[Future[T]], None]) -> None:
        """Do *work* in a thread; *done* is called with its end, in the loop."""
        self._threads.submit(work).add_done_callback(partial(self._wake, done))

    def _wake(self, done: Callable[[Future[T]], None], future: Future[T]) -> None:
        self._done.append(partial(done, future))
        os.eventfd_write(self._fileno, 1)

    # What the loop asks of a connection.

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.eventfd_read(self._fileno)
        while self._done:
            self._done.popleft()()

    def close(self) -> None:
        """Wait for what is being done; nobody is told of it."""
        self._threads.shutdown(cancel_futures=True)
        os.close(self._fileno)
