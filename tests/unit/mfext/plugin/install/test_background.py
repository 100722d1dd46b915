from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mfext.errors import PluginError
from mfext.plugin.install.background import aside


def niceness_of_a_child() -> int:
    program = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_programs_started_aside_step_back_and_nobody_else_does() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert aside(niceness_of_a_child) == min(19, before + 5)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    assert niceness_of_a_child() == before


def test_what_is_raised_aside_is_raised_here() -> None:
    def fails() -> None:
        raise PluginError("damaged", where="x.plugin")

    with pytest.raises(PluginError, match="damaged"):
        aside(fails)


def test_where_nobody_may_step_back_it_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    assert aside(lambda: 3) == 3
