"""A folder of RPMs as a repository from which dnf installs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rpm.package import Built


def publish(built: Iterable[Built], folder: Path) -> list[Path]:
    """Put the RPMs that were *built* into *folder*, and describe what is there for dnf."""
    before = _times(folder)
    files = published(built, folder)
    if _times(folder) != before or not (folder / "repodata" / "repomd.xml").is_file():
        subprocess.run(["createrepo_c", "--quiet", folder], check=True)
    return files


def sign(rpms: Iterable[Path], folder: Path, key: str) -> None:
    """Sign *rpms*, and the list of what is in *folder*, with the user's gpg key *key*."""
    gpg = shutil.which("gpg")
    if gpg is None or shutil.which("rpmsign") is None:
        raise SystemExit("rpm: gpg or rpmsign is not there: tools/system-packages test brings both")
    program = ["rpmsign", "--define", f"_gpg_name {key}", "--define", f"__gpg {gpg}", "--addsign", *map(str, rpms)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"rpm: what was built cannot be signed:\n{done.stderr}")
    # Signing changes an RPM.
    subprocess.run(["createrepo_c", "--quiet", folder], check=True)
    index = folder / "repodata" / "repomd.xml"
    command = [gpg, "--batch", "--yes", "--local-user", key, "--detach-sign", "--armor", str(index)]
    subprocess.run(command, check=True)


def published(built: Iterable[Built], folder: Path) -> list[Path]:
    """Put what was *built* into *folder*, each in place of what it was before; the files there.

    What is there already stays as it is, signatures included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for one in built:
        place = folder / one.file.name
        files.append(place)
        if place.is_file() and not one.is_new:
            continue
        for older in folder.glob(f"*{place.suffix}"):
            if _name_of(older) == _name_of(place):
                older.unlink()
        shutil.copy2(one.file, place)
    return files


def _times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.rpm")}


def _name_of(package: Path) -> str:
    """``metwork-mfdata`` of ``metwork-mfdata-1.0-1.noarch.rpm`` or ``metwork-mfdata_1.0-1_all.deb`` (pure)."""
    if package.suffix == ".deb":
        return package.name.partition("_")[0]
    return package.name.rsplit("-", 2)[0]
