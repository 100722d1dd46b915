from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from mfext import environment
from mfext.commands.shell import command_folders
from mfext.environment import home_of, software_of


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METWORK_HOME", raising=False)
    monkeypatch.setattr(environment, "is_checkout", lambda: False)


@pytest.mark.usefixtures("installed")
def test_the_home_of_an_installed_module_is_that_of_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    me = getpass.getuser()
    assert home_of(me).path == Path(f"~{me}").expanduser().parent / me
    monkeypatch.setenv("HOME", "/somewhere/me")
    assert home_of("nobody_is_called_so").path == Path("/somewhere/nobody_is_called_so")


def test_what_is_given_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METWORK_HOME", "/homes")
    assert home_of("mfdata").path == Path("/homes/mfdata")


def test_an_installed_module_has_its_software_in_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "metwork-mfnew/lib/mfnew/__init__.py"
    package.parent.mkdir(parents=True)
    package.touch()
    monkeypatch.syspath_prepend(tmp_path / "metwork-mfnew/lib")
    monkeypatch.setattr("mfext.commands.shell.is_checkout", lambda: False)
    assert software_of("mfnew") == tmp_path / "metwork-mfnew/lib"
    assert command_folders("mfnew")[0] == tmp_path / "metwork-mfnew/bin"
