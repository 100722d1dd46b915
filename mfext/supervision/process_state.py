"""ProcessState: how one supervised process does, decided from what is known of it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mfext.clock import age, is_older
from mfext.supervision.exits import FAILURES, Exit
from mfext.supervision.process import Process

#: Seconds after which a process that does not report is taken for ready.
_ALIVE_MEANS_READY = 1.0
#: Of an arbiter that does not say how long a start is held back.
_LONGEST_BACKOFF = 3600.0
#: Seconds after which a loop that stands still is named, whatever it is allowed.
_SEEN = 10.0


@dataclass(frozen=True)
class ProcessState:
    """How a process does, with all its copies."""

    name: str
    plugin: str
    #: running, starting, failing, drained or stopped.
    state: str
    #: How many copies shall run; 0 = it is not started with the module.
    wanted: int
    #: Copies that live, oldest first, and those of them that are ready.
    pids: tuple[int, ...] = ()
    ready: tuple[int, ...] = ()
    #: What each ready copy says of itself.
    facts: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    #: How often a copy ended by a fault since the start or the last change.
    restarts: int = 0
    last_exit: Exit | None = None
    #: Seconds since the youngest copy was started; 0 when none lives.
    uptime: float = 0.0
    #: Bytes of memory of all copies.
    rss: int = 0
    #: Which limits are not in force, and why; '' = all that are declared are.
    unforced: str = ""
    #: Why it is not running; '' when it is, or is stopped as it should be.
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it is as configured."""
        return not self.reason


def process_state(
    process: Process,
    known: Mapping[str, Any],
    facts: Mapping[int, Mapping[str, Any]],
    last_exit: Exit | None,
    rss: int,
    now: float,
) -> ProcessState:
    """The state of *process*.

    Args:
        process: as it is declared.
        known: what the arbiter knows of it (``ProcessSet.states``).
        facts: what its copies say of themselves.
        last_exit: how a copy ended last.
        rss: bytes of memory of all copies.
        now: seconds since the epoch.
    """
    started = {int(pid): begin for pid, begin in known["started"].items()}
    pids = tuple(sorted(started, key=lambda pid: (started[pid], pid)))
    held_back = _held_back(known, now)
    lives = {pid for pid in pids if not held_back and is_older(started[pid], _ALIVE_MEANS_READY, now)}
    ready = tuple(pid for pid in pids if (pid in facts if process.reports_ready else pid in lives))
    wanted = process.numprocesses if process.autostart else 0
    stands = bool(process.stalled_after) and known.get("standing", 0.0) > min(process.stalled_after / 2, _SEEN)
    state = "failing" if stands else _state(process, known, wanted, pids, ready, facts, last_exit)
    reason = _reason(state, wanted, len(ready), known, last_exit, now)
    if stands:
        reason = f"its loop has stood still for {known['standing']:.0f} s; stalled_after = {process.stalled_after:g} s"
    return ProcessState(
        name=process.name,
        plugin=process.plugin,
        state=state,
        wanted=wanted,
        pids=pids,
        ready=ready,
        facts={pid: facts[pid] for pid in pids if pid in facts},
        restarts=known["restarts"],
        last_exit=last_exit,
        uptime=age(max(started.values()), now) if started else 0.0,
        rss=rss,
        unforced=known["unforced"],
        reason=reason,
    )


def _held_back(known: Mapping[str, Any], now: float) -> float:
    """Seconds for which the next start is held back; it was meant for less when the clock was set back since."""
    left: float = known["not_before"] - now
    return left if 0 < left <= known.get("longest_wait", _LONGEST_BACKOFF) else 0.0


def _state(
    process: Process,
    known: Mapping[str, Any],
    wanted: int,
    pids: tuple[int, ...],
    ready: tuple[int, ...],
    facts: Mapping[int, Mapping[str, Any]],
    last_exit: Exit | None,
) -> str:
    if not pids and (not wanted or not known["active"]):
        ended_well = not wanted or (last_exit is not None and last_exit.status == 0 and not process.respawn)
        return "stopped" if ended_well else "failing"
    if known["failures"] >= FAILURES and len(ready) < wanted:
        return "failing"
    if pids and all(facts.get(pid, {}).get("drained") for pid in pids):
        return "drained"
    return "running" if len(ready) >= wanted else "starting"


def _reason(state: str, wanted: int, ready: int, known: Mapping[str, Any], last_exit: Exit | None, now: float) -> str:
    if state in ("running", "stopped"):
        return ""
    if state == "drained":
        return "it takes no more work, since it was told to drain"
    reason = f"{ready} of {wanted} ready" if wanted > 1 else "not ready yet" if state == "starting" else ""
    if last_exit and not last_exit.asked and (state == "failing" or known["failures"]):
        reason += f"{', ' if reason else ''}{last_exit}"
    if state == "failing" and known["failures"]:
        reason += f", failed {known['failures']} times in a row"
        if held_back := _held_back(known, now):
            reason += f", next try in {held_back:.0f} s"
    return reason or "it does not run"
