"""Prefer: what a client says about waiting (RFC 7240), and what is answered to it (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: A preference: its name, and a value that may be quoted; parameters after ';' are nothing to us.
_NAME = r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*"
_VALUE = r'(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?\s*'
_PREFERENCE = re.compile(rf"{_NAME}{_VALUE}(?:;[^,]*)?(?:,|$)")
#: Seconds: a client is never told to come back sooner or later.
_SOONEST, _LATEST = 1, 60


@dataclass(frozen=True)
class Preference:
    """What was asked for."""

    respond_async: bool = False
    #: Seconds; None = nothing was said.
    wait: int | None = None

    def allowed(self, max_wait: float) -> Preference:
        """The same with a wait that we are ready to wait for."""
        if self.wait is None:
            return self
        return Preference(self.respond_async, min(self.wait, int(max_wait)))

    def applied(self, *, is_async: bool) -> str:
        """The value of ``Preference-Applied``; '' = none was."""
        words = ["respond-async"] if self.respond_async and is_async else []
        words += [f"wait={self.wait}"] if self.wait is not None else []
        return ", ".join(words)


def preference(values: Sequence[str]) -> Preference:
    """What the ``Prefer`` headers *values* say; of two that say the same thing the first counts, as the RFC has it."""
    found: dict[str, str] = {}
    for match in _PREFERENCE.finditer(", ".join(values)):
        found.setdefault(match[1].lower(), (match[2] or "").strip('"'))
    wait = found.get("wait", "")
    return Preference("respond-async" in found, int(wait) if re.fullmatch(r"[0-9]{1,9}", wait) else None)


def retry_after_s(position: int, concurrency: int) -> int:
    """Seconds after which to ask again for a job before which *position* others wait."""
    return max(_SOONEST, min(_LATEST, position // max(1, concurrency)))
