"""Metrics: requests by route, class and status, how long they took, and what waits: for Prometheus (pure)."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

#: Of a line of the access log; what clients say stands between quotes that they cannot close.
_LINE = re.compile(
    rb'"class":"([^"]*)","app":"([^"]*)","route":"([^"]*)","status":(-?[0-9]+),"total_ms":(-?[0-9]+),', re.ASCII
)
#: What HAProxy logs of what there is not.
_NOTHING = b"-"
#: Upper bounds of the histogram, in milliseconds.
BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)

_Labels = tuple[str, ...]


class Tally:
    """What was answered since the router's keeper started."""

    def __init__(self) -> None:
        #: By app, route, class and status.
        self.requests: Counter[_Labels] = Counter()
        #: By app, route and class: requests in each bucket, the last one without a bound.
        self.buckets: dict[_Labels, list[int]] = {}
        self.milliseconds: Counter[_Labels] = Counter()

    def count(self, lines: bytes) -> None:
        """Take lines of the access log in."""
        for (class_, app, route, status, took), number in Counter(_LINE.findall(lines)).items():
            known = app != _NOTHING
            labels = (_word(app), (_word(route) or "/") if known else "", _word(class_))
            milliseconds = max(0, int(took))
            self.requests[(*labels, status.decode())] += number
            self.milliseconds[labels] += milliseconds * number
            buckets = self.buckets.setdefault(labels, [0] * (len(BOUNDS) + 1))
            buckets[bisect_left(BOUNDS, milliseconds)] += number

    def exposition(self) -> Iterator[str]:
        """The lines for Prometheus."""
        yield from _head("metwork_requests_total", "counter", "Requests answered.")
        for (app, route, class_, status), number in sorted(self.requests.items()):
            labels = _labels({"app": app, "route": route, "class": class_, "status": status})
            yield f"metwork_requests_total{labels} {number}"
        yield from _head(
            "metwork_request_seconds", "histogram", "Time from the whole request to the end of its answer."
        )
        for (app, route, class_), buckets in sorted(self.buckets.items()):
            names = {"app": app, "route": route, "class": class_}
            total = 0
            for bound, number in zip([*(f"{one / 1000:g}" for one in BOUNDS), "+Inf"], buckets, strict=True):
                total += number
                yield f"metwork_request_seconds_bucket{_labels({**names, 'le': bound})} {total}"
            yield f"metwork_request_seconds_sum{_labels(names)} {self.milliseconds[app, route, class_] / 1000:g}"
            yield f"metwork_request_seconds_count{_labels(names)} {total}"


def queues(statistics: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """What waits and what is in hand, by app, of what HAProxy counts."""
    waiting, in_hand, workers = [], [], []
    for row in statistics:
        kind, _, name = row["pxname"].partition(".")
        if row["svname"] != "BACKEND" or kind not in ("app", "lane"):
            continue
        # The queue of a lane is that of its class; all then wait in the queue of the workers.
        class_, app = name.split(".", 1) if kind == "lane" else ("", name)
        waiting.append(
            f"metwork_requests_waiting{_labels({'app': app, 'queue': class_ or 'workers'})} {row['qcur'] or 0}"
        )
        if kind == "app":
            in_hand.append(f"metwork_requests_in_hand{_labels({'app': app})} {row['scur'] or 0}")
            workers.append(f"metwork_app_workers{_labels({'app': app})} {row['act'] or 0}")
    yield from _head(
        "metwork_requests_waiting", "gauge", "Requests that wait: in the lane of a class, or for a worker."
    )
    yield from waiting
    yield from _head("metwork_requests_in_hand", "gauge", "Requests that an app has in hand or that wait for it.")
    yield from in_hand
    yield from _head("metwork_app_workers", "gauge", "Workers that take requests.")
    yield from workers


def _word(field: bytes) -> str:
    return "" if field == _NOTHING else field.decode()


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
