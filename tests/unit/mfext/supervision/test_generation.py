"""Which start of the machine and of the arbiter a process belongs to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.supervision.generation import generation, is_over, lock_file
from mfext.testing import temporary_home, wait_until


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = temporary_home(tmp_path)
    home.run.mkdir(parents=True, exist_ok=True)
    return home


def test_it_lasts_as_long_as_the_arbiter(home: Home) -> None:
    with subprocess.Popen(["sleep", "600"]) as arbiter:
        lock_file(home).write_text(str(arbiter.pid))
        found = generation(home)
        assert found
        assert not is_over(found)
        arbiter.kill()
        # Nobody has waited for it yet, as where a container has no init.
        wait_until(lambda: is_over(found), what="the end is seen")
    assert is_over(found)


def test_it_ends_with_the_machine_though_the_numbers_come_again(home: Home) -> None:
    lock_file(home).write_text(str(os.getpid()))
    boot, pid, start = generation(home).split(".")
    assert is_over(f"{'0' * len(boot)}.{pid}.{start}")
    assert is_over(f"{boot}.{pid}.{int(start) + 1}")
    assert not is_over(f"{boot}.{pid}.{start}")


@pytest.mark.parametrize("content", ["", "nonsense", "4000000"])
def test_without_an_arbiter_there_is_none_and_it_is_not_over(home: Home, content: str) -> None:
    lock_file(home).write_text(content)
    assert generation(home) == ""
    assert not is_over("")
