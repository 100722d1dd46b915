"""A folder of RPMs as a repository from which dnf installs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rpm.package import Built


def publish(built: Iterable[Built], folder: Path) -> list[Path]:
    """Put what was *built* into *folder*, each in place of what it was before, and describe what is there for dnf.

    What is there already stays as it is, signatures included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    published, changed = [], not (folder / "repodata" / "repomd.xml").is_file()
    for one in built:
        place = folder / one.file.name
        published.append(place)
        if place.is_file() and not one.is_new:
            continue
        for older in folder.glob("*.rpm"):
            if _name_of(older) == _name_of(place):
                older.unlink()
        shutil.copy2(one.file, place)
        changed = True
    if changed:
        subprocess.run(["createrepo_c", "--quiet", folder], check=True)
    return published


def _name_of(rpm: Path) -> str:
    """``metwork-mfdata`` of ``metwork-mfdata-1.0-1.noarch.rpm`` (pure)."""
    return rpm.name.rsplit("-", 2)[0]
