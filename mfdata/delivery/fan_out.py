"""Fan out: what the outcome of a step means for the file and its outputs: which file goes where, with which tags."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mfdata.delivery.transaction import Delivery
from mfdata.file import File
from mfdata.outcome import Done, Failed, Outcome
from mfdata.quarantine.quarantine import COUNTERS
from mfdata.queue.protocol import Claim
from mfdata.storage.placement import NUMBER, QUARANTINE, REPLACE, described, free_path
from mfdata.storage.places import Target
from mfdata.storage.tags import Tags, uid_of


class Derived(NamedTuple):
    """A file that a step made of another, with its deliveries."""

    uid: str
    name: str
    deliveries: list[Delivery]


class FanOut:
    """Makes the deliveries of the outcomes of the steps of one plugin."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        #: By the name that a step gives them.
        self._targets: dict[str, Target] = {}

    def of_itself(self, claim: Claim, outcome: Done, tags: Tags) -> list[Delivery]:
        """Where the file itself goes: nowhere, when *outcome* says of outputs only where they go."""
        return [
            self._delivery(claim, claim.place, to, tags, outcome)
            for to in (outcome.to if is_for_itself(outcome) else ())
        ]

    def of_outputs(self, claim: Claim, outcome: Done, file: File, tags: Tags) -> list[Derived]:
        """The outputs of *outcome*, each with its tags and destinations; its uid is the same at each try."""
        derived = []
        for number, output in enumerate(outcome.outputs, 1):
            name = output.path.name
            uid = f"{file.uid}.{number}"
            own = {**tags, "latest.core.uid": uid.encode(), "latest.core.original_basename": os.fsencode(name)}
            deliveries = [
                self._delivery(claim, os.fspath(output.path), to, own, outcome) for to in output.to or outcome.to
            ]
            derived.append(Derived(uid, name, list(map(with_free_name, deliveries))))
        return derived

    def _delivery(self, claim: Claim, source: str, to: str | Path, tags: Tags, outcome: Done) -> Delivery:
        if isinstance(to, Path):
            return Delivery(source, to, tags, if_exists=outcome.if_exists)
        name = to.rstrip("*")
        priority = outcome.priorities.get(name, claim.priority)
        return Delivery(source, self._target(name), tags, to.endswith("*"), priority)

    def _target(self, name: str) -> Target:
        found = self._targets.get(name)
        if found is None:
            found = self._targets[name] = Target.of(name, self._plugin)
        return found


def with_free_name(delivery: Delivery) -> Delivery:
    """*delivery* with another path when its own is taken and it is to have another then."""
    if delivery.if_exists != NUMBER or not isinstance(delivery.to, Path):
        return delivery
    return delivery._replace(to=free_path(delivery.to, uid_of(delivery.tags)))


def replaced_by(deliveries: Iterable[Delivery]) -> list[str]:
    """The files that *deliveries* will replace, each with its uid if it tells it."""
    paths = (delivery.to for delivery in deliveries if isinstance(delivery.to, Path) and delivery.if_exists == REPLACE)
    return [described(path) for path in paths if os.path.lexists(path)]


def name_taken(outcome: Outcome | None) -> Failed | None:
    """The failure of *outcome* when a path in it is taken and must not be."""
    if not isinstance(outcome, Done) or outcome.if_exists != QUARANTINE:
        return None
    wanted = (to for to in (*outcome.to, *(to for output in outcome.outputs for to in output.to)))
    taken = next((to for to in wanted if isinstance(to, Path) and os.path.lexists(to)), None)
    return Failed(f"{taken} exists already, and if_exists = quarantine", permanent=True) if taken else None


def is_for_itself(outcome: Done) -> bool:
    """Whether ``outcome.to`` is for the file itself: it has no outputs, or they all say where they go (pure)."""
    return all(output.to for output in outcome.outputs)


def derived_events(derived: Iterable[Derived], file: File) -> Iterator[dict[str, object]]:
    """The events of the files *derived* from *file*, for the trace."""
    for uid, name, deliveries in derived:
        yield {
            "event": "made",
            "uid": uid,
            "name": name,
            "parent": file.uid,
            "to": [str(delivery.to) for delivery in deliveries],
        }


def passed_on(tags: Tags) -> Tags:
    """*tags* for the next step: what counted the tries of this one is left out (pure)."""
    return {name: value for name, value in tags.items() if name not in COUNTERS}


def distinct(deliveries: list[Delivery]) -> list[Delivery]:
    """*deliveries* with each source once per destination; a copy counts more than a link (pure)."""
    if len(deliveries) < 2:
        return deliveries
    found: dict[tuple[str, Target | Path], Delivery] = {}
    for delivery in deliveries:
        known = found.get((delivery.source, delivery.to))
        found[delivery.source, delivery.to] = delivery._replace(
            hard_link=delivery.hard_link and (known is None or known.hard_link)
        )
    return list(found.values())
