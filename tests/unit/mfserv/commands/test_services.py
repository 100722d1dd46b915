from __future__ import annotations

import pytest

from mfext.commands.output import Form
from mfserv.commands import services

APP = {
    "app": "radar_images.main",
    "kind": "asgi",
    "version": "1.2.3 and 1.2.4",
    "state": "degraded",
    "workers": 4,
    "ready": 3,
    "in_router": 3,
    "in_hand": 12,
    "waiting": 7,
    "rate": 120.5,
    "p95_ms": 830.5,
    "failed": 3,
    "answered": {"2xx": 123456, "3xx": 0, "4xx": 12, "5xx": 3},
}


def test_what_says_how_an_app_does_stays_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    services._show("Apps", [APP], "app", Form(), services._APPS_LEAVE)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    titles = [title.strip() for title in lines[2].strip("|").split("|")]
    assert {"APP", "STATE", "IN HAND", "WAITING", "FAILED", "P95 MS"} <= set(titles)
    assert not {"KIND", "VERSION"} & set(titles)
    assert lines[-1] == "-o wide shows all"
