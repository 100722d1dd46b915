"""Exposed: secrets that other users of the machine may read are told, with the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.module import MODULE
from mfext.configuration import exposed_secrets as exposed
from mfext.configuration.exposed_secrets import exposed_secrets, may_be_read_by_others
from mfext.environment import Home
from mfext.plugin.manifest import load_plugin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home("mfdata", tmp_path / "mfdata")
    may_be_entered = exposed._may_be_entered
    # Other users may not enter the folders of pytest itself.
    monkeypatch.setattr(exposed, "_may_be_entered", lambda folder: folder in tmp_path.parents or may_be_entered(folder))
    tmp_path.chmod(0o755)
    (made.config / "plugins").mkdir(parents=True)
    (made.plugins / "send").mkdir(parents=True)
    (made.plugins / "send" / "config.ini").write_text(
        "[general]\nname = send\n[step_main]\ncmd = true\n[custom]\npassword = {{SECRET}}\n"
    )
    return made


def told(home: Home) -> list[str]:
    return [error.message for error in exposed_secrets([load_plugin(home.plugins / "send", MODULE, home).config])]


def test_a_secret_that_every_user_may_read_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    assert told(home) == []  # the file says only where it comes from
    override = home.config / "plugins" / "send.ini"
    override.write_text("[custom]\npassword = s3cret\n")
    override.chmod(0o644)
    assert told(home) == [
        f"{override}:2 [custom] password: a secret that every user of this machine may read. chmod o-rwx {override}"
    ]
    override.chmod(0o640)
    assert told(home) == []


def test_a_password_in_a_url_is_one_too(home: Home) -> None:
    override = home.config / "plugins" / "send.ini"
    override.write_text("[custom]\npassword = \nurl = ftp://me:s3cret@there/\n")
    override.chmod(0o644)
    (one,) = told(home)
    assert f"{override}:3 [custom] url" in one
    assert "s3cret" not in one


def test_a_folder_that_nobody_else_may_enter_keeps_what_is_in_it(home: Home) -> None:
    override = home.config / "plugins" / "send.ini"
    override.write_text("[custom]\npassword = s3cret\n")
    override.chmod(0o644)
    assert may_be_read_by_others(override)
    home.path.chmod(0o750)
    assert not may_be_read_by_others(override)
    assert told(home) == []
