"""A supervised process logs as [log] says, and ends an error by its message and exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mfext.errors import ConfigError, UsageError

_PROCESS = """
from mfext.daemon import Daemon, run_daemon
from mfext.errors import ConfigError
from mfext.log import get_logger

def serve(daemon: Daemon) -> int | None:
    get_logger("test").debug("a debug line")
    get_logger("test").info("an info line")
    get_logger("test").error("an error line")
    {end}

run_daemon(serve, process={process!r}, debug={debug})
"""


def run(
    home: Path, config: str, *, end: str = "return None", process: str = "trial", debug: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a process of the module mfdata with the ``config.ini`` *config*."""
    for folder in ("config", "log"):
        (home / "mfdata" / folder).mkdir(parents=True, exist_ok=True)
    (home / "mfdata/config/config.ini").write_text(config)
    code = _PROCESS.format(end=end, process=process, debug=debug)
    environment = {**os.environ, "METWORK_HOME": str(home), "MFMODULE": "MFDATA"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def logged(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "mfdata/log/trial.log").read_text().splitlines()]


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("debug", ["a debug line", "an info line", "an error line"]),
        ("info", ["an info line", "an error line"]),
        ("error", ["an error line"]),
    ],
)
def test_lines_below_the_level_of_the_module_are_not_written(tmp_path: Path, level: str, lines: list[str]) -> None:
    assert run(tmp_path, f"[log]\nlevel = {level}\n").returncode == 0
    assert [line["text"] for line in logged(tmp_path)] == lines


def test_a_debugged_process_writes_all_whatever_the_module_says(tmp_path: Path) -> None:
    run(tmp_path, "[log]\nlevel = error\n", debug=True)
    assert "a debug line" in [line["text"] for line in logged(tmp_path)]


def test_a_log_is_rotated_at_the_size_of_the_module(tmp_path: Path) -> None:
    end = "[get_logger('test').info('x' * 1000) for _ in range(100)]"
    run(tmp_path, "[log]\nmax_size = 10000\nkeep = 2\n", end=end)
    files = sorted((tmp_path / "mfdata/log").glob("trial.log*"))
    assert len(files) == 3
    assert all(file.stat().st_size <= 11_000 for file in files)


def test_a_configuration_that_became_faulty_keeps_no_process_from_its_start(tmp_path: Path) -> None:
    assert run(tmp_path, "[log]\nlevel = loud\n").returncode == 0
    first, *rest = logged(tmp_path)
    assert first["level"] == "warning"
    assert "loud" in first["reason"]
    assert [line["text"] for line in rest] == ["an info line", "an error line"]


def test_an_error_of_ours_is_a_message_and_its_exit_status(tmp_path: Path) -> None:
    ended = run(tmp_path, "", end="raise ConfigError('the pond is dry', mend='Wait for rain.')")
    assert ended.returncode == ConfigError.exit_code
    assert ended.stderr == "the pond is dry. Wait for rain.\n"


def test_the_status_of_the_work_is_that_of_the_process(tmp_path: Path) -> None:
    assert run(tmp_path, "", end="return 3").returncode == 3


def test_a_process_that_nobody_named_is_refused(tmp_path: Path) -> None:
    ended = run(tmp_path, "", process="")
    assert ended.returncode == UsageError.exit_code
    assert "was not started by its module" in ended.stderr
