"""What several processes that share the tests make once: it takes long, and no test changes it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder *name* as *make* has filled it, in whichever process asks first; the others wait for that.

    Args:
        factory: of temporary folders, in this process.
        name: of the folder, the same in all processes.
        make: fills the empty folder that it gets; what it raises goes through, and who asks next tries again.
    """
    own = factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)
    folder, part = shared / name, shared / f".{name}"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder
