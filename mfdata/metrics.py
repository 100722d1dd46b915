"""Metrics of mfdata, and what counts the events of the trace for them; ``operations/backlog_metrics.py`` looks up what
waits.
"""

from __future__ import annotations

from collections.abc import Mapping

from mfext.metrics.instrument import Instruments
from mfext.metrics.metric import Metric, counter, gauge, histogram

_STEP = ("plugin", "step")

ACCEPTED = counter("metwork_files_accepted_total", "Files that were taken out of incoming directories.")
MATCHED = counter("metwork_files_matched_total", "Files that rules gave to the step.", *_STEP)
DONE = counter("metwork_files_done_total", "Files that the step has done.", *_STEP)
FAILED = counter(
    "metwork_files_failed_total", "Tries that failed: the file is retried, quarantined or sent elsewhere.", *_STEP
)
RETRIED = counter("metwork_files_retried_total", "Tries after which the file waits for another one.", *_STEP)
QUARANTINED = counter("metwork_files_quarantined_total", "Files that were quarantined, by the reason.", *_STEP, "kind")
DROPPED = counter("metwork_files_dropped_total", "Files that were dropped by a named rule.", *_STEP)
EXPIRED = counter("metwork_files_expired_total", "Files that came too late.", *_STEP)
HELD = counter("metwork_steps_held_total", "Times that the step began to wait for something outside.", *_STEP)
DURATION = histogram("metwork_file_duration_seconds", "Time that the step worked on a file, with each try.", *_STEP)
WAITING = gauge("metwork_files_waiting", "Files that wait for the step.", *_STEP)
CLAIMED = gauge("metwork_files_claimed", "Files that the step has in hand.", *_STEP)
DELAYED = gauge("metwork_files_delayed", "Files that wait for their next try.", *_STEP)
KEPT = gauge("metwork_files_in_quarantine", "Files in the quarantine of the step.", *_STEP)
OLDEST = gauge("metwork_files_oldest_waiting_seconds", "Age of the file that waits longest; 0 = none waits.", *_STEP)
PAUSED = gauge("metwork_intake_paused", "1 = no file is taken in: the disk or the queues are full.")
BLOCKED = gauge(
    "metwork_destination_blocked", "1 = the destination of a sender did not answer, and is not tried.", "step", "host"
)

METRICS = (
    *(ACCEPTED, MATCHED, DONE, FAILED, RETRIED, QUARANTINED, DROPPED, EXPIRED, HELD, DURATION),
    *(WAITING, CLAIMED, DELAYED, KEPT, OLDEST, PAUSED, BLOCKED),
)

#: What an event of the trace counts for, besides ``accepted``, ``quarantined`` and what is matched.
_OF_STEPS: Mapping[str, tuple[Metric, ...]] = {
    "done": (DONE,),
    "failed": (FAILED,),
    "retried": (RETRIED, FAILED),
    "quarantined": (FAILED,),
    "dropped": (DROPPED,),
    "expired": (EXPIRED,),
    "held": (HELD,),
}
_SWITCH = ("switch", "main")


class EventCounter:
    """Counts the events that a process writes into the trace."""

    def __init__(self, instruments: Instruments) -> None:
        """Args: where it counts."""
        self._instruments = instruments

    def count(self, plugin: str, step: str, event: Mapping[str, object]) -> None:
        """Count *event*, which tells of the *step* of *plugin* unless it names another."""
        happened = event["event"]
        add = self._instruments.add
        if happened == "accepted":
            add(ACCEPTED)
            return
        of_step = (str(event.get("plugin", plugin)), str(event.get("step", step)))
        for metric in _OF_STEPS.get(happened, ()):  # type: ignore[call-overload]  # any value of another type is none
            add(metric, of_step)
        if happened == "quarantined":
            add(QUARANTINED, (*of_step, str(event.get("kind", ""))))
        elif happened == "done" and of_step == _SWITCH:
            for to in event["to"]:  # type: ignore[attr-defined]  # as the worker writes it
                target = to.partition("/")
                add(MATCHED, (target[0], target[2]))
        duration = event.get("duration")
        if isinstance(duration, float):
            self._instruments.observe(DURATION, of_step, duration)
