from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mfext.errors import Conflict
from mfext.fs.lock import exclusive
from mfext.testing import wait_until

HOLDER = """
import sys
from pathlib import Path
from mfext.fs.lock import exclusive
with exclusive(Path(sys.argv[1]), "mfdata", "restart"):
    sys.stdin.read()
"""


def test_who_holds_the_lock_is_named_by_act_and_pid(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        exclusive(lock, "mfdata", "start"),
        pytest.raises(Conflict) as caught,
        exclusive(lock, "mfdata", "stop", timeout=0.1),
    ):
        pass
    assert f"(start, process {os.getpid()})" in caught.value.message


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    for act in ("start", "stop"):
        with exclusive(lock, "mfdata", act, timeout=0):
            assert lock.read_text() == f"{act}, process {os.getpid()}"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE) as holder:
        wait_until(lambda: lock.exists() and lock.read_text() == f"restart, process {holder.pid}")
        with pytest.raises(Conflict, match=str(holder.pid)), exclusive(lock, "mfdata", "start", timeout=0):
            pass
        holder.kill()
        with exclusive(lock, "mfdata", "start", timeout=5):
            pass
