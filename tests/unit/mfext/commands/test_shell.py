from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from mfext.commands import shell
from mfext.environment import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home("mfdata", tmp_path / "mfdata")


def test_the_banner_names_module_host_and_version(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "software_build", lambda: "1.0.0")
    monkeypatch.setattr(shell, "address", lambda: "192.0.2.7")
    host = os.uname().nodename
    lines = shell.banner(home, 0.0).splitlines()
    assert lines[0].strip() == "MFDATA"
    assert f"Welcome on {host.partition('.')[0]} ({host}, 192.0.2.7)" in lines
    assert "(module: MFDATA, version 1.0.0)" in lines


def test_the_load_line_is_that_of_uptime(home: Home) -> None:
    line = shell.load_line(0.0)
    assert re.fullmatch(r"\d\d:\d\d:\d\d up (\d+ days?, )?[ \d]\d:\d\d,  load average: .+, .+, .+", line)


def test_the_home_is_the_tilde_and_our_commands_come_first(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"/usr/bin:{commands}:/bin")
    variables = shell.shell_variables(home)
    assert variables["HOME"] == str(home.path)
    assert variables["MFMODULE"] == "MFDATA"
    assert variables["METWORK_HOME"] == str(home.path.parent)
    assert variables["PATH"] == f"{commands}:/usr/bin:/bin"


def test_the_address_is_one(home: Home) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", shell.address())
