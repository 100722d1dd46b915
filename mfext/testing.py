"""What tests of MetWork and of plugins need: waiting for a fact, homes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mfext.environment import Home

__all__ = ["temporary_home", "wait_until"]

T = TypeVar("T")

#: Seconds between two looks: short at first, since most facts come at once.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05


def wait_until(condition: Callable[[], T], timeout: float = 60.0, what: str = "the condition") -> T:
    """The first true value that *condition* gives, for which it waits.

    Args:
        condition: called without arguments; looked at again and again; what it raises goes through.
        timeout: seconds after which to give up; much, since a machine that has more to do must not fail a test.
        what: words for the message, as in ``"the file in the archive"``.

    Raises:
        TimeoutError: it was not true in time; the message has its last value.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s, the last value was {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return value


def temporary_home(folder: Path, module: str = "mfdata") -> Home:
    """A new home of *module* below *folder*, with its usual folders made.

    Args:
        folder: where it is made: a test's ``tmp_path``.
        module: lower-case name of the module: mfdata, mfserv.
    """
    home = Home(module, folder / module)
    for made in (home.plugins, home.log, home.tmp, home.config, home.run):
        made.mkdir(parents=True, exist_ok=True)
    return home
