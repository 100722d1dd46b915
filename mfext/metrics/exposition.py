"""Exposition: metrics in the formats that Prometheus reads; the only place that writes them.

Source: Prometheus exposition formats; OpenMetrics 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from mfext.metrics.instrument import Counts
from mfext.metrics.metric import Metric, Sample, Type

_FAMILIES: Mapping[Type, Callable[..., Family]] = {
    Type.COUNTER: CounterMetricFamily,
    Type.GAUGE: GaugeMetricFamily,
    Type.HISTOGRAM: HistogramMetricFamily,
}


def expose(metrics: Sequence[Metric], samples: Iterable[Sample], accept: str = "") -> tuple[bytes, str]:
    """The text of *samples* and its media type.

    Args:
        metrics: all that are declared; one without samples is shown by its help alone.
        samples: one for each metric and set of labels.
        accept: what the client takes, by its ``Accept`` header; '' = the text format.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Samples(metrics, samples))
    encoder: Callable[[CollectorRegistry], bytes]
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


def samples_of(metrics: Iterable[Metric], counts: Counts) -> Iterator[Sample]:
    """What was counted, as samples; counts that no metric declares are left out.

    A counter without labels starts at 0, so that its first event is an increase.
    """
    declared = {metric.name: metric for metric in metrics}
    for key, values in sorted(counts.items()):
        metric = declared.get(key[0])
        if metric and len(key) == 1 + len(metric.labels) and len(values) == _width(metric):
            yield Sample(metric, key[1:], values)
    for name, metric in declared.items():
        if metric.type is Type.COUNTER and not metric.labels and (name,) not in counts:
            yield Sample(metric, (), (0.0,))


def _width(metric: Metric) -> int:
    return len(metric.buckets) + 2 if metric.type is Type.HISTOGRAM else 1


class _Samples(Collector):
    """Samples, as prometheus_client collects them."""

    def __init__(self, metrics: Sequence[Metric], samples: Iterable[Sample]) -> None:
        self._families = {metric.name: _family(metric) for metric in metrics}
        for sample in samples:
            _add(self._families.setdefault(sample.metric.name, _family(sample.metric)), sample)

    def collect(self) -> Iterable[Family]:
        """Every family, in the order of the declarations."""
        return self._families.values()


def _family(metric: Metric) -> Family:
    return _FAMILIES[metric.type](metric.name, metric.help, labels=metric.labels)


def _add(family: Family, sample: Sample) -> None:
    if isinstance(family, HistogramMetricFamily):
        *buckets, total = sample.values
        bounds = [*map(str, sample.metric.buckets), "+Inf"]
        family.add_metric(sample.labels, [*zip(bounds, accumulate(buckets), strict=True)], total)
    elif isinstance(family, (CounterMetricFamily, GaugeMetricFamily)):
        family.add_metric(sample.labels, sample.values[0])
