"""Limits: rates, classes and their lanes, as numbers that the router works with (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mfserv.config import BATCH, INTERACTIVE, ClassConfig

#: The classes when none is configured.
CLASSES: Mapping[str, ClassConfig] = {
    INTERACTIVE: ClassConfig(order=10),
    BATCH: ClassConfig(order=20, share=75),
}


@dataclass(frozen=True)
class Rate:
    """So many requests in a period."""

    requests: int
    #: Seconds.
    period: int

    @property
    def wait(self) -> int:
        """Seconds after which a client that was refused is served for sure.

        The router weighs the period before the present one by the part of it that still counts. When all requests came
        at the beginning of the present period, none is forgotten before its end, and the first one only a little later.
        """
        return self.period + math.ceil(self.period / self.requests)


def rate(text: str) -> Rate | None:
    """The rate written as ``600/60s``; None for no limit."""
    if not text:
        return None
    requests, _, period = text.partition("/")
    return Rate(int(requests), int(period.removesuffix("s")))


def lane(places: int, share: int) -> int:
    """Places out of *places* that a class with *share* percent may have: one at least, all only when there is one."""
    if share >= 100:
        return places
    return max(1, min(places - 1, places * share // 100))


def passing(places: int) -> int:
    """Places out of *places* that one address may hold by bodies that are not whole yet: most are free for others."""
    return places // 4
