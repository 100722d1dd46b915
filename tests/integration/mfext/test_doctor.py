"""``metwork doctor``, for each module, on this machine."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from mfext.commands.cli import run
from mfext.doctor import FAULT


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METWORK_HOME", str(tmp_path / "homes"))
    monkeypatch.setenv("METWORK_CONFIG_D", str(tmp_path / "etc"))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    return tmp_path / "homes"


def findings(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit status, and what was found, by what was looked at."""
    capfd.readouterr()
    status = run([*arguments, "--json"])
    return status, {one["check"]: one for one in json.loads(capfd.readouterr().out)}


@pytest.mark.parametrize("arguments", [("doctor", "mfdata"), ("mfdata", "doctor"), ("doctor",)])
def test_every_form_looks_at_all_and_changes_nothing(
    capfd: pytest.CaptureFixture[str], home: Path, arguments: tuple[str, ...]
) -> None:
    _, found = findings(capfd, *arguments)
    wanted = {"python", "libraries", "open files", "inotify instances", "clock", "disk", "attributes", "libmagic"}
    assert wanted <= found.keys()
    assert all(one["mend"] for one in found.values() if one["state"] != "ok")
    assert not home.exists()


def test_the_exit_status_tells_of_a_fault_which_is_named_with_what_mends_it(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    assert run(["mfserv", "init"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        config = home / "mfserv" / "config" / "config.ini"
        config.write_text(f"[http]\nport = {number}\n")
        status, found = findings(capfd, "doctor", "mfserv")
        assert (status, found["port"]["state"]) == (1, FAULT)
        assert run(["doctor", "mfserv"]) == 1
        said = capfd.readouterr().out
        assert f"-> See who has it: ss -ltnp 'sport = :{number}'" in said
    config.write_text("nonsense\n")
    status, found = findings(capfd, "doctor", "mfserv")
    assert (status, found["configuration"]["state"]) == (1, FAULT)
    assert f"{config}:1" in found["configuration"]["found"]
