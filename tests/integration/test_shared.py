"""What tests share while several processes run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_ports
from tests.shared import made_once

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
