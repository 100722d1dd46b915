from __future__ import annotations

import pytest

from mfext.metrics.metric import Metric, Type, counter, gauge, histogram


@pytest.mark.parametrize(
    "metric",
    [
        counter("metwork_files_total", "Files.", "plugin"),
        gauge("metwork_files_waiting", "Files that wait."),
        histogram("metwork_file_seconds", "Time.", "plugin", buckets=(0.1, 1)),
    ],
)
def test_names_as_prometheus_has_them_are_taken(metric: Metric) -> None:
    assert metric.name.startswith("metwork_")


@pytest.mark.parametrize(
    ("name", "type_", "labels", "buckets"),
    [
        ("files_total", Type.COUNTER, (), ()),
        ("metwork_Files_total", Type.COUNTER, (), ()),
        ("metwork_files", Type.COUNTER, (), ()),
        ("metwork_files_total", Type.GAUGE, (), ()),
        ("metwork_files_total", Type.COUNTER, ("the plugin",), ()),
        ("metwork_files_total", Type.COUNTER, ("__name",), ()),
        ("metwork_file_seconds", Type.HISTOGRAM, (), ()),
        ("metwork_file_seconds", Type.HISTOGRAM, (), (2.0, 1.0)),
        ("metwork_file_seconds", Type.HISTOGRAM, (), (1.0, 1.0)),
        ("metwork_files", Type.GAUGE, (), (1.0,)),
    ],
)
def test_what_prometheus_would_not_take_is_refused(
    name: str, type_: Type, labels: tuple[str, ...], buckets: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r" name of a metric|a counter|a histogram"):
        Metric(name, "help", type_, labels, buckets)
