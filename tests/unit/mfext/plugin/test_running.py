from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfext.plugin.manifest import load_plugin
from mfext.plugin.running import fingerprint
from mfext.testing import temporary_home
from tests.unit.mfext.plugin.plugins import made, module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path / "one", more="[job_main]\n[custom]\npassword = a\nurl = http://user:a@machine/\n")
    (tmp_path / "one" / "main.py").write_text("pass\n")
    return tmp_path / "one"


def of(folder: Path) -> str:
    return fingerprint(load_plugin(folder, module(), temporary_home(folder.parent / "home")))


@pytest.mark.parametrize("name", ["main.py", "new.py", "lib/new.py"])
def test_it_changes_with_the_code(folder: Path, name: str) -> None:
    before = of(folder)
    (folder / "lib").mkdir()
    (folder / name).write_text("raise SystemExit\n")
    assert of(folder) != before


def test_it_changes_when_code_of_the_same_size_is_written_later(folder: Path) -> None:
    before = of(folder)
    os.utime(folder / "main.py", (5, 5))
    assert of(folder) != before


@pytest.mark.parametrize("name", ["README.md", ".hidden", "tests/test_one.py", "__pycache__/main.pyc"])
def test_it_stays_when_what_does_not_run_changes(folder: Path, name: str) -> None:
    before = of(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert of(folder) == before


@pytest.mark.parametrize("line", ["password = b", "url = http://user:b@machine/", "[job_main]\ncount = 2"])
def test_it_changes_with_what_an_administrator_overrides_secret_or_not(folder: Path, line: str) -> None:
    file = temporary_home(folder.parent / "home").config / "plugins" / "one.ini"
    file.parent.mkdir(parents=True)
    file.write_text("[custom]\npassword = a\n")
    before = of(folder)
    file.write_text(f"[custom]\n{line}\n")
    assert of(folder) != before
    file.write_text("# as before\n[custom]\npassword = a\n")
    assert of(folder) == before
