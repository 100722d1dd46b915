"""Metric: the declaration of something that is counted or measured, with the naming rules of Prometheus (pure).

Source: Prometheus, "Metric and label naming" and "Metric types".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Upper bounds of a histogram of durations, in seconds, from a millisecond to a minute.
DURATIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Type(Enum):
    """How the values of a metric behave."""

    #: Only grows, from the start of the module on.
    COUNTER = "counter"
    #: What is now.
    GAUGE = "gauge"
    #: How many observations were at most so large, and their sum.
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """A metric of a module: declared once, for the exposition, its help and the page of reference.

    Raises:
        ValueError: a name is not one that Prometheus takes.
    """

    #: ``metwork_…``, in base units; a counter ends in ``_total``.
    name: str
    #: One sentence.
    help: str
    type: Type
    #: Names of the labels, in the order in which values are given.
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram, ascending, without infinity.
    buckets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        wrong = [name for name in (self.name, *self.labels) if not _NAME.fullmatch(name)]
        if wrong or not self.name.startswith("metwork_"):
            raise ValueError(f"{wrong or self.name} is no name of a metric or label of ours")
        if self.name.endswith("_total") != (self.type is Type.COUNTER):
            raise ValueError(f"{self.name}: a counter ends in _total, and nothing else does")
        if bool(self.buckets) != (self.type is Type.HISTOGRAM) or list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"{self.name}: a histogram, and nothing else, has ascending buckets")


def counter(name: str, help: str, *labels: str) -> Metric:  # noqa: A002  # the field's word
    """A metric that only grows."""
    return Metric(name, help, Type.COUNTER, labels)


def gauge(name: str, help: str, *labels: str) -> Metric:  # noqa: A002
    """A metric that says what is now."""
    return Metric(name, help, Type.GAUGE, labels)


def histogram(name: str, help: str, *labels: str, buckets: Iterable[float] = DURATIONS) -> Metric:  # noqa: A002
    """A metric of how many observations were at most so large."""
    return Metric(name, help, Type.HISTOGRAM, labels, tuple(buckets))


@dataclass(frozen=True)
class Sample:
    """One value of a metric, as it is at the moment of the scrape."""

    metric: Metric
    #: Values of its labels, in their order.
    labels: tuple[str, ...]
    #: A counter or gauge: the value. A histogram: observations in each bucket and above all, then their sum.
    values: tuple[float, ...]
