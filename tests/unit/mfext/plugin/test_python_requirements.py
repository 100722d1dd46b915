from __future__ import annotations

from pathlib import Path

import pytest

from mfext.errors import PluginError
from mfext.plugin import python_requirements as requirements


def test_people_are_told_that_an_installer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(requirements, "_NEWS", 0.05)
    (tmp_path / "gate").touch()
    wait = "while [ -e gate ]; do sleep 0.01; [ $SECONDS -lt 1 ] || rm -f gate; done; echo done"
    assert requirements._run(["bash", "-c", wait], tmp_path) == "done\n"
    assert "INFO : It goes on: 0.05 s until now" in capfd.readouterr().err


def test_an_installer_that_fails_is_quoted_with_the_index_that_it_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@packages.example/simple")
    with pytest.raises(PluginError, match="cannot be had") as raised:
        requirements._run(["sh", "-c", "echo no such package >&2; exit 3"], tmp_path)
    assert "no such package" in raised.value.message
    assert "https://packages.example/simple" in raised.value.message
    assert "secret" not in raised.value.message
