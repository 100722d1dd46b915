"""Traffic of apps, from the access log."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfserv.router.access_log import Traffic, traffic, traffic_of


def line(time: float, app: str, status: int, took: int) -> str:
    return (
        f'{{"t":{time:.3f},"id":"1","client":"\\"app\\":\\"forged","app":"{app}","route":"/{app}","status":{status},'
        f'"total_ms":{took},"server":"s0"}}\n'
    )


def test_rate_p95_and_failures_are_of_the_last_minute(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    old = line(1000, "a", 500, 9000)
    log.write_text(
        old + "".join(line(1100 + number / 2, "a", 200, number) for number in range(100)) + line(1150, "b", 503, 7)
    )
    found = traffic(log, 1150)
    assert traffic_of("a", found) == Traffic(rate=2.0, p95_ms=94, failed=0)
    assert traffic_of("b", found).failed == 1
    assert traffic_of("c", found) == Traffic()


def test_what_was_logged_while_the_clock_was_ahead_is_not_of_the_last_minute(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(line(10_800, "a", 200, 1) + line(99, "a", 200, 1))
    assert traffic(log, 100.0)["a"].rate == pytest.approx(1 / 60, abs=0.01)


def test_what_clients_say_is_no_app(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(line(1149, "a", 200, 1) + "half a line")
    assert set(traffic(tmp_path / "access.log", 1150)) == {"a"}


def test_without_a_log_there_was_no_traffic(tmp_path: Path) -> None:
    assert traffic(tmp_path / "access.log", 0) == {}
