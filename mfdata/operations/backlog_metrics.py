"""Backlog metrics: what waits for each step at the moment of a scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mfdata.intake.backpressure import pause
from mfdata.metrics import BLOCKED, CLAIMED, DELAYED, KEPT, OLDEST, PAUSED, WAITING
from mfdata.operations.backlog import Backlog, backlog, targets_on_disk
from mfdata.storage.places import Places, Target
from mfext.circuit_breaker import open_breakers
from mfext.environment import Home
from mfext.lifecycle.last_good import remembered
from mfext.metrics.metric import Sample


def samples(home: Home) -> Iterator[Sample]:
    """What waits now, and what is not tried now."""
    places = Places(home)
    known = {
        Target(plugin.name, section.removeprefix("step_"))
        for plugin in remembered(home).values()
        for section in plugin.config.names("step_*")
    }
    nothing: Counter[tuple[str, str, str]] = Counter()
    yield from backlog_samples(backlog(places, one, nothing) for one in sorted({*known, *targets_on_disk(places)}))
    yield Sample(PAUSED, (), (float(bool(pause(home))),))
    for breaker in open_breakers(home):
        yield Sample(BLOCKED, (breaker["step"], breaker["destination"]), (1.0,))


def backlog_samples(backlogs: Iterable[Backlog]) -> Iterator[Sample]:
    """What steps have before them (pure)."""
    for one in backlogs:
        values = {
            WAITING: one.waiting,
            CLAIMED: one.claimed,
            DELAYED: one.delayed,
            KEPT: one.quarantined,
            OLDEST: max(0.0, one.oldest or 0.0),
        }
        for metric, value in values.items():
            yield Sample(metric, (one.target.plugin, one.target.step), (float(value),))
