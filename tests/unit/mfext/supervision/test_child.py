from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mfext.testing import wait_until

PARENT = """
import subprocess, sys
from mfext.supervision.child import tied_to_us

child = subprocess.Popen(["sleep", "600"], preexec_fn=tied_to_us())
print(child.pid, flush=True)
child.wait()
"""
ORPHAN = """
import os
from mfext.supervision.child import die_with

parent = os.getpid()
if not os.fork():
    while os.getppid() == parent:
        pass
    die_with(parent)
    print("it lives", flush=True)
"""


def test_a_child_dies_with_the_process_that_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    wait_until(lambda: not _lives(pid), what="the child's end")


def test_a_child_whose_parent_was_gone_before_ends_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_nothing_is_killed_that_nobody_left() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"from mfext.supervision.child import die_with; die_with({os.getpid()})"]
    )
    assert done.returncode == 0
