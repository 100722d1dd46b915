from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mfext.supervision.process import Process

PROCESS = Process(
    "step.a.main", ("python", "main.py"), Path("/a"), plugin="a", rlimits={"as": 5}, environment={"A": "b"}
)


def test_a_process_comes_back_from_json_as_it_was() -> None:
    assert Process.from_json(json.loads(json.dumps(PROCESS.as_json()))) == PROCESS


@pytest.mark.parametrize(
    "change",
    [{"command": ("x",)}, {"folder": Path("/b")}, {"rlimits": {}}, {"environment": {}}, {"fingerprint": "1"}],
)
def test_what_runs_is_told_by_the_digest(change: dict[str, Any]) -> None:
    assert replace(PROCESS, **change).digest != PROCESS.digest


@pytest.mark.parametrize("change", [{"numprocesses": 3}, {"respawn": False}, {"graceful_timeout": 1.0}])
def test_what_needs_no_restart_is_not_in_the_digest(change: dict[str, Any]) -> None:
    assert replace(PROCESS, **change).digest == PROCESS.digest
