"""``make clean`` removes what is quickly made again, and asks before the rest."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from rpm.contents import ROOT

ASKED = (".venv", "build", "dist", "run")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like a checkout in which everything was made."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "clean", tmp_path / "tools")
    for name in (*ASKED, ".mypy_cache", "mfext/__pycache__", ".venv/lib/__pycache__", "run/mfdata/__pycache__"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    return tmp_path


def left(checkout: Path) -> set[str]:
    return {path.name for path in checkout.iterdir()} - {"tools", "mfext"}


def test_without_a_terminal_what_is_dear_is_kept_and_named(checkout: Path) -> None:
    done = subprocess.run(["tools/clean"], cwd=checkout, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert left(checkout) == {*ASKED}
    assert all(f"clean: {name}/ is kept" in done.stdout for name in ASKED)
    assert not (checkout / "mfext/__pycache__").exists()
    assert (checkout / ".venv/lib/__pycache__").exists()
    assert (checkout / "run/mfdata/__pycache__").exists()


def test_with_yes_nothing_is_asked_and_all_goes(checkout: Path) -> None:
    subprocess.run(["tools/clean", "--yes"], cwd=checkout, check=True, stdin=subprocess.DEVNULL)
    assert left(checkout) == set()


def test_each_is_asked_for(checkout: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"n\ny\n\nn\n")
    done = subprocess.run(["tools/clean"], cwd=checkout, capture_output=True, text=True, stdin=theirs)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert left(checkout) == {"build", ".venv", "run"}
    assert done.stdout.count("[y/N]") == 4
