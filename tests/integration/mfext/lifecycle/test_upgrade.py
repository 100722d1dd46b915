"""What runs while its software is exchanged is stopped and started again as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.lifecycle import upgrade
from mfext.supervision.supervisor import Supervisor


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A module that runs; the others on this machine are not looked at."""
    home = Home("mfdata", tmp_path / "mfdata")
    monkeypatch.setenv("METWORK_HOME", str(tmp_path))
    monkeypatch.setenv("MFDATA_SUPERVISOR_START_TIMEOUT", "200")
    monkeypatch.setattr(upgrade, "running", lambda: [one for one in upgrade._arbiters() if one.home == str(home.path)])
    subprocess.run([sys.executable, "-m", "mfext", "mfdata", "start"], check=True)
    yield home
    Supervisor(home).stop()


def test_what_runs_is_found_with_the_environment_it_was_started_with(home: Home) -> None:
    (found,) = upgrade.running()
    assert (found.module, found.uid, found.service) == ("mfdata", os.geteuid(), False)
    assert found.environment["METWORK_HOME"] == str(home.path.parent)


def test_what_was_stopped_is_started_again(home: Home, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert upgrade.stop("mfdata", notes)
    assert not Supervisor(home).is_running()
    assert notes.stat().st_mode & 0o077 == 0
    assert upgrade.start(notes)
    assert Supervisor(home).is_running()
    assert not notes.exists()


def test_another_module_is_left_alone(home: Home, tmp_path: Path) -> None:
    assert upgrade.stop("mfserv", tmp_path / "notes")
    assert Supervisor(home).is_running()


def test_what_does_not_start_is_tried_again_after_the_next_upgrade(home: Home, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    upgrade.stop("", notes)
    config = home.config / "config.ini"
    good = config.read_text("utf-8")
    config.write_text("[no_such_section]\n", "utf-8")
    assert not upgrade.start(notes)
    config.write_text(good, "utf-8")
    assert upgrade.start(notes)
    assert Supervisor(home).is_running()
