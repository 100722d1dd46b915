from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.module import MODULE
from mfdata.processes import processes_of
from mfext.plugin.manifest import load_plugin
from mfext.supervision.process import Process


@pytest.fixture
def processes(tmp_path: Path) -> dict[str, Process]:
    folder = tmp_path / "weather"
    folder.mkdir()
    (folder / "config.ini").write_text(
        "[general]\nname = weather\n[step_main]\nnumprocesses = 3\nmemory_max = 100\n"
        "[extra_daemon_filler]\ncmd = fill {plugin_name}\nstalled_after = 7\nrlimit_as = 5\nmax_age = 9\n"
    )
    plugin = load_plugin(folder, MODULE, None)
    return {process.name: process for process in processes_of(plugin, plugin.config)}


def test_a_step_and_a_daemon_are_declared_alike(processes: dict[str, Process]) -> None:
    step, filler = processes["step.weather.main"], processes["extra_daemon.weather.filler"]
    assert (step.numprocesses, step.cgroup["memory_max"], step.reports_ready) == (3, 100, True)
    assert (filler.command, filler.rlimits["as"], filler.reports_ready) == (("fill", "weather"), 5, False)
    assert step.fingerprint == filler.fingerprint != ""


def test_a_step_is_watched_by_the_guardian_and_a_daemon_by_its_loop(processes: dict[str, Process]) -> None:
    assert processes["step.weather.main"].stalled_after == 0
    assert processes["extra_daemon.weather.filler"].stalled_after == 7
