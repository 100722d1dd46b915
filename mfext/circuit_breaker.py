"""Breaker: a destination that does not answer is left in peace, by all processes of a step, until one try works again.

*Closed*: files are sent. After ``breaker_failures`` faults in a row that are the destination's, it *opens*: files stay
in their queue, nothing is counted against them. When its time is over one process tries one file, the *probe*; if
that works it closes, if not it stays open for a longer time.

What the processes share is one small file a destination; there is none while all goes well.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2s
from pathlib import Path
from typing import Any

from mfext.clock import age
from mfext.environment import Home
from mfext.fs.atomic import replace_file
from mfext.option import option
from mfext.section import Section

#: While one process probes, the others look again after this many seconds.
_LOOK_AGAIN_S = 1.0
#: A probe that has not ended after this many seconds was cut off, or is a large file: another process may try.
_PROBE_S = 60.0


@dataclass(frozen=True)
class BreakerKeys(Section):
    """When a destination is left in peace."""

    breaker_failures: int = option(
        5,
        minimum=0,
        help="So many faults of the other machine in a row, over all processes of the step, and it is left in peace "
        "for a while: files wait, without using up their tries; 0 = it never is.",
    )
    breaker_min_wait: float = option(
        5.0, unit="s", minimum=0.1, help="Time for which it is left in peace at first; it doubles each time."
    )
    breaker_max_wait: float = option(60.0, unit="s", minimum=0.1, help="Longest time for which it is left in peace.")


@dataclass(frozen=True)
class State:
    """What is known of a destination (pure)."""

    destination: str = ""
    #: Faults in a row.
    failures: int = 0
    #: How often it opened since it was closed; 0 = it is closed.
    openings: int = 0
    #: Until when nobody tries, by the monotonic clock, which all processes share.
    until: float = 0.0
    #: When it opened, in epoch seconds.
    since: float = 0.0
    #: One process tries at present.
    is_probed: bool = False
    #: The last fault.
    reason: str = ""
    #: It answers, and a person must mend something: a login, a certificate, a folder.
    is_refused: bool = False

    def after_failure(self, keys: BreakerKeys, reason: str, now: float, *, probe: bool, epoch: float) -> State:
        """The state after one more fault; of a try that had begun before it opened it is none."""
        if self.openings and not probe:
            return self
        failures = self.failures + 1
        if not self.openings and failures < keys.breaker_failures:
            return replace(self, failures=failures, reason=reason)
        openings = self.openings + 1
        until = now + open_for(openings, keys)
        since = self.since or epoch
        return replace(
            self, failures=failures, openings=openings, until=until, since=since, is_probed=False, reason=reason
        )

    def left(self, keys: BreakerKeys, now: float) -> float:
        """Seconds for which nobody tries."""
        left = self.until - now if self.openings else 0.0
        # Longer than possible, but for what is lost by rounding: from before this machine was started anew.
        return left if 0 < left <= max(keys.breaker_max_wait, keys.breaker_min_wait, _PROBE_S) + 1 else 0.0


def open_for(openings: int, keys: BreakerKeys) -> float:
    """Seconds for which it stays open, the *openings*-th time (pure)."""
    return min(keys.breaker_min_wait * 2.0 ** min(openings - 1, 60), keys.breaker_max_wait)


class Breaker:
    """The breaker of one destination, as one process of a step sees it."""

    def __init__(self, home: Home, step: str, destination: str, keys: BreakerKeys) -> None:
        """*step* is written ``plugin/step``."""
        self._keys = keys
        self._destination = destination
        mark = blake2s(destination.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
        self._path = _folder(home) / f"{step.replace('/', '.', 1)}.{mark}.json"
        self._is_probing = False
        #: Whether a person must mend something, as :meth:`wait` found it.
        self.is_refused = False

    def wait(self) -> float:
        """Seconds to wait; 0 = try now, and say how it ended by :meth:`succeeded` or :meth:`failed`."""
        if not os.path.exists(self._path):
            return 0.0
        with self._locked() as state:
            if not state.openings:
                return 0.0
            self.is_refused = state.is_refused
            now = time.monotonic()
            left = state.left(self._keys, now)
            if left:
                return min(left, _LOOK_AGAIN_S) if state.is_probed else left
            self._write(replace(state, until=now + _PROBE_S, is_probed=True))
            self._is_probing = True
            return 0.0

    def succeeded(self) -> bool:
        """A try worked: it is closed; whether it was open."""
        self._is_probing = False
        # The file that was sent must not be sent again for the sake of a file that only helps.
        with suppress(OSError):
            if os.path.exists(self._path):
                with self._locked() as state:
                    self._path.unlink(missing_ok=True)
                    return state.openings > 0
        return False

    def failed(self, reason: str, *, is_refused: bool = False) -> float:
        """A try failed for the destination's sake; seconds for which it is open now, 0 = it is closed.

        *is_refused*: it answers, and a person must mend something.
        """
        probe, self._is_probing = self._is_probing, False
        if not self._keys.breaker_failures:
            return 0.0
        with self._locked() as state:
            now = time.monotonic()
            new = state.after_failure(self._keys, reason, now, probe=probe, epoch=time.time())
            if new is not state:
                new = replace(new, is_refused=is_refused)
            self._write(new)
            return new.left(self._keys, now)

    def forget_others(self) -> None:
        """Forget other destinations of the step: it was configured for them before."""
        for path in self._path.parent.glob("*.json"):
            if path != self._path and _step_of(path) == _step_of(self._path):
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[State]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield _read(self._path) or State(self._destination)

    def _write(self, state: State) -> None:
        replace_file(self._path, json.dumps(asdict(state)))


def open_breakers(home: Home) -> list[dict[str, Any]]:
    """The destinations that are left in peace: step, destination, for how many seconds, next try, last fault."""
    found = []
    for path in sorted(_folder(home).glob("*.json")):
        state = _read(path)
        if state and state.openings:
            found.append(
                {
                    "step": _step_of(path),
                    "destination": state.destination,
                    "seconds": round(age(state.since), 1),
                    "next_try": 0.0 if state.is_probed else round(max(0.0, state.until - time.monotonic()), 1),
                    "reason": state.reason,
                    "is_refused": state.is_refused,
                }
            )
    return found


def _step_of(path: Path) -> str:
    """``PLUGIN/STEP``; a plugin's name holds no dot, so the first one ends it."""
    return path.name.rsplit(".", 2)[0].replace(".", "/", 1)


def _folder(home: Home) -> Path:
    return home.run / "breakers"


def _read(path: Path) -> State | None:
    with suppress(OSError, ValueError, TypeError):
        return State(**json.loads(path.read_bytes()))
    return None
