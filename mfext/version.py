"""The version of the software: a release number, or BRANCH.COMMIT in a checkout."""

from __future__ import annotations

import re
from pathlib import Path

from mfext.environment import SOFTWARE

#: Letters of an abbreviated commit, as git prints it for a project of our size.
SHORT = 7
#: The file with the release of the RPM, beside what pip would write of the version.
RELEASE = "RELEASE"


def software_version(software: Path = SOFTWARE) -> str:
    """The version of the modules that lie in *software*, for example ``1.0.0`` or ``master.1b4fc52``."""
    return checkout_version(software) or _released_version()


def software_build() -> str:
    """The version for people: ``1.0.0-351.g1b4fc52`` of an RPM, since two builds may have one version."""
    from importlib.metadata import PackageNotFoundError, distribution

    version = software_version()
    if checkout_version(SOFTWARE):
        return version
    try:
        release = (distribution("metwork").read_text(RELEASE) or "").strip()
    except PackageNotFoundError:
        return version
    return f"{version}-{release}" if release else version


def checkout_version(software: Path) -> str:
    """``BRANCH.COMMIT`` of the checkout at *software*; '' when it is none or has no commit yet.

    Read without git, which refuses to look at a checkout of another user and may be absent.
    """
    git = _git_folder(software)
    if git is None:
        return ""
    head = _text(git / "HEAD")
    if not head.startswith("ref: "):
        return f"detached.{head[:SHORT]}" if head else ""
    reference = head.removeprefix("ref: ")
    commit = _commit_of(reference, git)
    branch = re.sub(r"[^A-Za-z0-9._]", "_", reference.removeprefix("refs/heads/"))
    return f"{branch}.{commit[:SHORT]}" if commit else ""


def _released_version() -> str:
    # Dear, and of no use in a checkout.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("metwork")
    except PackageNotFoundError:
        return "unknown"


def _git_folder(software: Path) -> Path | None:
    """The ``.git`` folder, also where ``.git`` is the file of a worktree."""
    git = software / ".git"
    if git.is_file():
        git = software / _text(git).removeprefix("gitdir: ")
    return git if git.is_dir() else None


def _commit_of(reference: str, git: Path) -> str:
    """The commit that *reference* names, loose or packed; references of a worktree lie in the main checkout."""
    shared = _text(git / "commondir")
    for folder in (git, git / shared) if shared else (git,):
        loose = _text(folder / reference)
        if loose:
            return loose
        for line in _text(folder / "packed-refs").splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
