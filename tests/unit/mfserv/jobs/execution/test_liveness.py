from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mfserv.jobs.execution.liveness import Liveness


def test_who_ends_is_dead_until_that_is_seen_to(tmp_path: Path) -> None:
    others = Liveness(tmp_path / "runners")
    assert others.dead() == frozenset()
    one = Liveness(tmp_path / "runners")
    one.enter("host:1:a")
    assert others.dead() == frozenset()
    one.leave()
    assert others.dead() == {"host:1:a"}
    others.forget(others.dead())
    assert others.dead() == frozenset()


def test_a_process_that_dies_is_dead(tmp_path: Path) -> None:
    code = "from pathlib import Path; from mfserv.jobs.execution.liveness import Liveness\n"
    code += f"Liveness(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", f"{code}.enter('child')"], check=True)
    assert Liveness(tmp_path).dead() == {"child"}
