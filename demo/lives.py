"""From the trace of a file to its life in a line and its ends (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """What became of a file and of all that was made from it."""

    #: The steps it went through, in order of time.
    steps: tuple[str, ...]
    #: Where it ended, sorted: one for each copy.
    ends: tuple[str, ...]
    #: Why it was kept, '' when it was not.
    reason: str


def life(events: Sequence[Event]) -> Life:
    """The life that *events* tell, as ``mfdata.trace --json`` gives them."""
    reasons = [str(event["reason"]) for event in events if event["event"] == "quarantined"]
    return Life(tuple(_steps(events)), tuple(sorted(_ends(events))), "; ".join(reasons))


def _steps(events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        match event["event"]:
            case "accepted":
                yield "observer"
            case "done" | "dropped" | "quarantined":
                yield str(event["plugin"])
            case "retried" | "failed" | "recovered":
                yield f"{event['plugin']} ({event['event']})"


def _ends(events: Sequence[Event]) -> Iterator[str]:
    handed_over = {(event["plugin"], event["step"], event["parent"]) for event in events if event["event"] == "made"}
    for event in events:
        match event["event"]:
            case "quarantined":
                yield f"kept by {event['plugin']}"
            case "dropped":
                yield f"dropped by {event['plugin']}"
            case "done" if any(str(to).startswith("/") for to in event["to"]):
                yield "archived"
            case "done" if not event["to"] and (event["plugin"], event["step"], event["uid"]) not in handed_over:
                yield "sent" if event["plugin"] == "ftpsend_to_mybox" else f"ended in {event['plugin']}"
