"""A folder of RPMs as a repository from which dnf installs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path


def publish(rpms: Iterable[Path], folder: Path) -> list[Path]:
    """Put *rpms* into *folder*, each in place of what it was before, and describe what is there for dnf."""
    folder.mkdir(parents=True, exist_ok=True)
    published = []
    for rpm in rpms:
        for older in folder.glob("*.rpm"):
            if _name_of(older) == _name_of(rpm):
                older.unlink()
        published.append(Path(shutil.copy2(rpm, folder)))
    subprocess.run(["createrepo_c", "--quiet", folder], check=True)
    return published


def _name_of(rpm: Path) -> str:
    """``metwork-mfdata`` of ``metwork-mfdata-1.0-1.noarch.rpm`` (pure)."""
    return rpm.name.rsplit("-", 2)[0]
