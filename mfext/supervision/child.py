"""Child: a program that is killed when the process that started it dies, whatever that dies of.

Programs that become others import this within milliseconds: it needs no more of the standard library than they do.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def die_with(parent: int) -> None:
    """Let the kernel kill this process, and what it becomes, as soon as *parent*, which started it, is gone."""
    _tie(ctypes.CDLL(None), parent)


def tied_to_us() -> Callable[[], None]:
    """What a program does before it begins (``preexec_fn``), to die with this process.

    The thread that starts it must be the main one: the kernel counts the end of a thread as that of the parent.
    """
    libc, parent = ctypes.CDLL(None), os.getpid()  # between fork and exec, nothing should be loaded
    return lambda: _tie(libc, parent)


def _tie(libc: ctypes.CDLL, parent: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it was gone before that call
        os._exit(1)
