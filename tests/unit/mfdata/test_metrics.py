from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.metrics import METRICS, EventCounter
from mfdata.operations.backlog import Backlog
from mfdata.operations.backlog_metrics import backlog_samples
from mfdata.storage.places import Target
from mfext.metrics.instrument import Instruments, read_counts


@pytest.mark.parametrize(
    ("plugin", "step", "event", "counted"),
    [
        ("", "", {"event": "accepted"}, {("metwork_files_accepted_total",): 1}),
        ("a", "b", {"event": "done", "to": []}, {("metwork_files_done_total", "a", "b"): 1}),
        ("a", "b", {"event": "dropped"}, {("metwork_files_dropped_total", "a", "b"): 1}),
        ("a", "b", {"event": "expired"}, {("metwork_files_expired_total", "a", "b"): 1}),
        ("a", "b", {"event": "held"}, {("metwork_steps_held_total", "a", "b"): 1}),
        (
            "a",
            "b",
            {"event": "retried"},
            {("metwork_files_retried_total", "a", "b"): 1, ("metwork_files_failed_total", "a", "b"): 1},
        ),
        (
            "",
            "",
            {"event": "quarantined", "kind": "poison", "plugin": "a", "step": "b"},
            {
                ("metwork_files_quarantined_total", "a", "b", "poison"): 1,
                ("metwork_files_failed_total", "a", "b"): 1,
            },
        ),
        (
            "switch",
            "main",
            {"event": "done", "to": ["a/b", "c/d"]},
            {
                ("metwork_files_done_total", "switch", "main"): 1,
                ("metwork_files_matched_total", "a", "b"): 1,
                ("metwork_files_matched_total", "c", "d"): 1,
            },
        ),
        ("a", "b", {"event": "made", "to": ["c/d"]}, {}),
        ("a", "b", {"event": "nobody knows"}, {}),
    ],
)
def test_an_event_of_the_trace_counts_as_what_it_is(
    tmp_path: Path, plugin: str, step: str, event: dict[str, object], counted: dict[tuple[str, ...], float]
) -> None:
    EventCounter(Instruments(tmp_path)).count(plugin, step, event)
    assert read_counts(tmp_path) == {key: (value,) for key, value in counted.items()}


def test_the_time_of_each_try_is_observed(tmp_path: Path) -> None:
    count = EventCounter(Instruments(tmp_path)).count
    count("a", "b", {"event": "done", "to": [], "duration": 0.004})
    count("a", "b", {"event": "retried", "duration": 70.0})
    *buckets, total = read_counts(tmp_path)["metwork_file_duration_seconds", "a", "b"]
    assert (sum(buckets), buckets[-1]) == (2, 1)
    assert total == pytest.approx(70.004)


def test_what_waits_is_told_by_step() -> None:
    backlog = Backlog(Target("a", "b"), 3, 12.5, 1, 2, 4, 0, 0)
    values = {sample.metric.name: sample.values for sample in backlog_samples([backlog])}
    assert values == {
        "metwork_files_waiting": (3.0,),
        "metwork_files_claimed": (1.0,),
        "metwork_files_delayed": (2.0,),
        "metwork_files_in_quarantine": (4.0,),
        "metwork_files_oldest_waiting_seconds": (12.5,),
    }


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    backlog = Backlog(Target("a", "b"), 1, -5.0, 0, 0, 0, 0, 0)
    values = {sample.metric.name: sample.values for sample in backlog_samples([backlog])}
    assert values["metwork_files_oldest_waiting_seconds"] == (0.0,)


def test_every_metric_has_a_name_of_its_own() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
