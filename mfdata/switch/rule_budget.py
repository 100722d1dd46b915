"""Rule budgets: the processor time that the rules may take for one file, so that nobody's rule stops the switch.

The time is what the process itself computes, so that a machine with much else to do takes nothing from it. It is kept
by ``ITIMER_VIRTUAL``, whose signal Python's ``re`` and its bytecode look at while they run; what runs without looking
(RE2, libmagic, one operation on one tag) is bounded by the length of what it looks at.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

#: Seconds that all rules together may take for one file, and then each by itself until the costliest is found.
FILE_S = 0.25
#: Seconds that an expression which only ``re`` can run may take for one value ...
EXPRESSION_S = 0.05
#: ... and for ``_SUSPECT_FOR_S`` after it took longer, so that many such files do not stop the switch either.
SUSPECT_S = 0.004
_SUSPECT_FOR_S = 60.0
#: The signal comes again after so long, should it have come where no exception can be raised.
_AGAIN_S = 0.01


class OverBudget(Exception):
    """A rule took more than its budget."""

    #: The search that did, as ``bounded_search`` gave it; None = it is not known which.
    search: object = None


#: Budgets that are being used, the innermost last; [] = a signal that comes now came too late.
_running: list[float] = []


class ProcessorTime:
    """Lets what is inside compute for some seconds at most, and no longer than the budget around it, if there is one.

    Raises ``OverBudget`` inside. Outside the main thread nothing is bounded: signals do not get there.

    Args:
        seconds: of processor time.
    """

    __slots__ = ("_around", "_given", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._given = 0.0
        self._around = 0.0

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGVTALRM) is not _interrupt:
            signal.signal(signal.SIGVTALRM, _interrupt)
        self._around = signal.getitimer(signal.ITIMER_VIRTUAL)[0] if _running else 0.0
        self._given = min(self._seconds, self._around) if self._around else self._seconds
        _running.append(self._seconds)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._given, _AGAIN_S)

    def __exit__(self, *_raised: object) -> None:
        if not self._given:
            return
        unused, _ = signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        _running.pop()
        if self._around:
            signal.setitimer(signal.ITIMER_VIRTUAL, max(self._around - self._given + unused, _AGAIN_S), _AGAIN_S)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    # Raised while a budget begins or ends, it would leave the timer running: it comes again, or is not needed any more.
    if _running and frame and frame.f_code not in _UNINTERRUPTED:
        raise OverBudget(f"it took more than {_running[-1]:g} s of processor time")


_UNINTERRUPTED = (ProcessorTime.__enter__.__code__, ProcessorTime.__exit__.__code__)


def bounded_search(search: Callable[[bytes], re.Match[bytes] | None]) -> Callable[[bytes], bool]:
    """*search*, which may compute for very long, within a budget.

    Args:
        search: of a compiled expression.
    """
    suspect_until = 0.0

    def found(value: bytes) -> bool:
        nonlocal suspect_until
        is_suspect = suspect_until and time.monotonic() < suspect_until
        try:
            with ProcessorTime(SUSPECT_S if is_suspect else EXPRESSION_S):
                return search(value) is not None
        except OverBudget as over:
            suspect_until = time.monotonic() + _SUSPECT_FOR_S
            over.search = found
            raise

    return found
