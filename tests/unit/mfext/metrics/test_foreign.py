from __future__ import annotations

from mfext.metrics.foreign import mended

PAGE = """\
# HELP haproxy_failed Number that failed.
# TYPE haproxy_failed counter
haproxy_failed 3
# TYPE haproxy_failed_now gauge
haproxy_failed_now{proxy="haproxy_failed"} 1
# TYPE haproxy_bytes_total counter
haproxy_bytes_total{proxy="a"} 5
"""


def test_a_counter_is_called_as_counters_are_and_nothing_else_changes() -> None:
    found = mended(PAGE)
    assert found.splitlines()[:3] == [
        "# HELP haproxy_failed_total Number that failed.",
        "# TYPE haproxy_failed_total counter",
        "haproxy_failed_total 3",
    ]
    assert found.splitlines()[3:] == PAGE.splitlines()[3:]
