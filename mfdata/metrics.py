"""Metrics of mfdata, and what counts the events of the trace for them; ``operations/backlog_metrics.py`` looks up what
waits.
"""

from __future__ import annotations

from collections.abc import Mapping

from mfext.metrics.instrument import Instruments, Series
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
        #: What each event counts for, by its name, plugin, step and more.
        self._known: dict[tuple[object, ...], tuple[Series, ...]] = {}

    def count(self, plugin: str, step: str, event: Mapping[str, object]) -> None:
        """Count *event*, which tells of the *step* of *plugin* unless it names another."""
        name = event["event"]
        plugin, step = event.get("plugin", plugin), event.get("step", step)  # type: ignore[assignment]  # texts
        more = event.get("kind", "") if name == "quarantined" else ""
        key = (name, plugin, step, more)
        counters = self._known.get(key)
        if counters is None:
            counters = self._known[key] = self._counters(*map(str, key))
        with self._instruments.lock:
            for series in counters:
                series.add(0, 1.0)
        duration = event.get("duration")
        if isinstance(duration, float):
            self._duration(plugin, step, duration)
        if name == "done" and (plugin, step) == _SWITCH:
            for to in event["to"]:  # type: ignore[attr-defined]  # as the worker writes it
                self._count_match(to)

    def _counters(self, name: str, plugin: str, step: str, kind: str) -> tuple[Series, ...]:
        series = self._instruments.series
        if name == "accepted":
            return (series(ACCEPTED, ()),)
        found = [series(metric, (plugin, step)) for metric in _OF_STEPS.get(name, ())]
        if name == "quarantined":
            found.append(series(QUARANTINED, (plugin, step, kind)))
        return tuple(found)

    def _duration(self, plugin: str, step: str, seconds: float) -> None:
        key = (DURATION.name, plugin, step)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = (self._instruments.series(DURATION, (plugin, step)),)
        with self._instruments.lock:
            found[0].observe(seconds)

    def _count_match(self, target: str) -> None:
        found = self._known.get((target,))
        if found is None:
            plugin, _, step = target.partition("/")
            found = self._known[(target,)] = (self._instruments.series(MATCHED, (plugin, step)),)
        with self._instruments.lock:
            found[0].add(0, 1.0)
