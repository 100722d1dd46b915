"""What tests share while several processes run them, and the tools that developers run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_ports
from tests.shared import made_once

ROOT = Path(__file__).parents[2]
ASK = "from tests.servers import free_ports; print(*free_ports(150), flush=True); input()"


def test_no_port_is_given_to_two_processes() -> None:
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    given = [str(port) for port in free_ports(150)]
    for process in asking:
        assert process.stdout is not None
        given += process.stdout.readline().split()
    for process in asking:
        process.communicate("\n")
    assert len(given) == len(set(given)) == 4 * 150


def test_what_is_made_once_is_made_anew_only_when_that_failed(tmp_path_factory: pytest.TempPathFactory) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        (folder / "file").touch(exist_ok=False)
        made.append(folder)
        if len(made) == 1:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        made_once(tmp_path_factory, "once", make)
    first = made_once(tmp_path_factory, "once", make)
    assert made_once(tmp_path_factory, "once", make) == first
    assert len(made) == 2
    assert (first / "file").exists()


def test_a_part_of_the_tests_that_is_not_there_is_named() -> None:
    done = subprocess.run([ROOT / "tools" / "test", "mfnothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no part mfnothing" in done.stderr


def test_a_fragment_of_the_changelog_needs_a_type_and_a_text(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "README.md").write_text("How they are written.\n")
    # The tool looks at the checkout that it is in.
    (tmp_path / "tools").mkdir()
    tool = Path(shutil.copy(ROOT / "tools" / "changelog", tmp_path / "tools"))
    fragment = tmp_path / "changes" / "+slug.fixed.md"
    for path, text, status in (
        (fragment, "A fault.\n", 0),
        (fragment, "", 1),
        (fragment.with_name("+slug.fixd.md"), "A fault.\n", 1),
        (fragment.with_name("slug.fixed.md"), "A fault.\n", 1),
    ):
        path.write_text(text)
        assert subprocess.run([tool, "--check"], capture_output=True).returncode == status, path
        path.unlink()
