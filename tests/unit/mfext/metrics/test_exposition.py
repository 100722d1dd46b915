"""What Prometheus reads: checked by its own reader and by promtool."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mfext.metrics.exposition import expose, samples_of
from mfext.metrics.metric import Sample, counter, gauge, histogram

FILES = counter("metwork_files_total", "Files.", "plugin")
RUNS = counter("metwork_runs_total", "Runs.")
WAITING = gauge("metwork_files_waiting", "Files that wait.", "plugin")
TOOK = histogram("metwork_file_seconds", "Time.", "plugin", buckets=(0.1, 1.0))
ALL = (FILES, RUNS, WAITING, TOOK)
ODD = 'a "quoted" \\ name\nof é'


def read(text: bytes) -> dict[tuple[str, str, str], float]:
    """The values by name, plugin and bucket."""
    return {
        (sample.name, sample.labels.get("plugin", ""), sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_values_are_read_as_they_were_given() -> None:
    samples = [
        Sample(FILES, (ODD,), (3.0,)),
        Sample(WAITING, ("a",), (0.0,)),
        Sample(TOOK, ("a",), (1.0, 2.0, 3.0, 9.5)),
    ]
    text, media_type = expose(ALL, samples)
    assert media_type.startswith("text/plain; version=")
    values = read(text)
    assert values["metwork_files_total", ODD, ""] == 3
    assert values["metwork_files_waiting", "a", ""] == 0
    buckets = [values["metwork_file_seconds_bucket", "a", bound] for bound in ("0.1", "1.0", "+Inf")]
    assert buckets == [1, 3, 6]
    assert values["metwork_file_seconds_count", "a", ""] == 6
    assert values["metwork_file_seconds_sum", "a", ""] == 9.5


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    text, media_type = expose(ALL, [], accept="application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_a_counter_without_labels_starts_at_zero() -> None:
    assert list(samples_of(ALL, {})) == [Sample(RUNS, (), (0.0,))]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (("metwork_files_total", "a"), (1.0, 2.0)),
        (("metwork_files_total", "a", "b"), (1.0,)),
        (("metwork_files_total",), (1.0,)),
        (("metwork_unknown_total",), (1.0,)),
        (("metwork_file_seconds", "a"), (1.0, 2.0, 3.0)),
    ],
)
def test_counts_that_are_not_as_declared_are_left_out(key: tuple[str, ...], values: tuple[float, ...]) -> None:
    assert list(samples_of(ALL, {key: values})) == [Sample(RUNS, (), (0.0,))]


def test_promtool_finds_nothing_wrong() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool: tools/system-packages test")
    samples = [Sample(FILES, (ODD,), (3.0,)), Sample(TOOK, ("a",), (1.0, 2.0, 3.0, 9.5))]
    done = subprocess.run([promtool, "check", "metrics"], input=expose(ALL, samples)[0], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
