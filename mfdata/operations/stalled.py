"""Held up: steps that cannot hand over or put back a file, and wait with all others until they can."""

from __future__ import annotations

from typing import Any

from mfext.clock import age
from mfext.environment import Home
from mfext.mainloop import ready_facts

#: The fact by which a worker says so, as ``since`` (epoch seconds), ``file`` and ``reason``; none = it is not held up.
FACT = "held_up"
_PREFIX = "step."


def stalled(since: float, file: str, reason: str) -> dict[str, Any]:
    """What a worker says of itself.

    Args:
        since: epoch seconds.
        file: its waiting name.
        reason: why it cannot go on.
    """
    return {"since": since, "file": file, "reason": reason}


def held_up(home: Home) -> list[dict[str, Any]]:
    """The processes that are: process, pid, for how many seconds, with which file, why; the longest first."""
    folder = home.run / "ready"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = []
    for process in (name for name in names if name.startswith(_PREFIX)):
        for pid, facts in ready_facts(home, process).items():
            own = facts.get(FACT)
            if isinstance(own, dict) and own:
                seconds = round(age(own["since"]), 1)
                row = {"process": process, "pid": pid, "seconds": seconds, "file": own["file"], "reason": own["reason"]}
                found.append(row)
    return sorted(found, key=lambda row: -float(row["seconds"]))
