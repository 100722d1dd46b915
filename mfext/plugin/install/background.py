"""Work that leaves the processors to whoever has files or requests to deal with."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

#: By how much it steps back: where all processors are busy, it gets a third of what others get.
_NICENESS = 5


def aside(act: Callable[[], T]) -> T:
    """What *act* gives, done in a thread that steps back, as do the programs that it starts.

    A thread of its own, since only a privileged user may step forward again.
    """
    with ThreadPoolExecutor(1, initializer=_step_back) as pool:
        return pool.submit(act).result()


def _step_back() -> None:
    thread = threading.get_native_id()
    with suppress(OSError):  # forbidden here: then it is as quick as the others
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
