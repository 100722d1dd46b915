"""``python -m rpm [NAME...]``: build the RPMs of all modules and layers, or of those that are named."""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mfext.errors import MetworkError
from mfext.fs.lock import exclusive
from rpm.contents import LAYERS, MODULES, ROOT, Facts, LayerPackage, ModulePackage
from rpm.deb import build_deb
from rpm.package import Built, build
from rpm.repository import publish, published, sign
from rpm.staging import version
from rpm.target import Target, target_of

#: Makes a package in a folder.
Builder = Callable[[ModulePackage | LayerPackage, Facts, Target, Path], Built]

#: Seconds to wait for another build in the same folder.
_TURN = 3600.0
#: The time that everything gets where there is no commit to take it from: 2026-01-01.
_SOME_TIME = 1767225600


def main(arguments: Sequence[str]) -> int:
    """Build what *arguments* name."""
    options = _options(arguments)
    packages = {package.name: package for package in (*MODULES, *LAYERS)}
    unknown = [name for name in options.names if name not in packages]
    if unknown:
        raise SystemExit(f"rpm: there is no {unknown[0]}; there are {', '.join(packages)}")
    chosen = [packages[name] for name in options.names or packages]
    target = target_of(options.python)
    facts = Facts(options.version or version(), options.release or _release(), "BSD-3-Clause", _epoch())
    options.work.mkdir(parents=True, exist_ok=True)
    with exclusive(options.work / ".lock", str(options.work), "tools/rpm", timeout=_TURN):
        if options.deb:
            debs = [_built(package, facts, target, options.work, build_deb) for package in chosen]
            print(*published(debs, options.dist), sep="\n")
            return 0
        built = [_built(package, facts, target, options.work, build) for package in chosen]
        if options.twice:
            with tempfile.TemporaryDirectory(prefix="metwork-rpm.") as elsewhere:
                twins = [build(package, facts, target, Path(elsewhere)) for package in chosen]
                _check_same([one.file for one in built], [twin.file for twin in twins])
        rpms = publish(built, options.dist)
        if options.sign:
            sign(rpms, options.dist, options.sign)
        print(*rpms, sep="\n")
    return 0


def _built(package: ModulePackage | LayerPackage, facts: Facts, target: Target, work: Path, build: Builder) -> Built:
    """Build *package*, and say so: a layer takes minutes."""
    print(f"rpm: {package.name} {facts.build}", end=" ", flush=True)
    begin = time.monotonic()
    built = build(package, facts, target, work)
    size = built.file.stat().st_size / 1e6
    print(f"({size:.1f} MB): made in {time.monotonic() - begin:.0f} s" if built.is_new else "is there", flush=True)
    return built


def _check_same(rpms: Sequence[Path], others: Sequence[Path]) -> None:
    """Refuse *rpms* of which one is not its twin among *others*, to the bit."""
    for rpm, other in zip(rpms, others, strict=True):
        if not filecmp.cmp(rpm, other, shallow=False):
            raise SystemExit(f"rpm: {rpm.name} comes out otherwise the second time: what it holds is not determined")
        print(f"rpm: {rpm.name} is the same when it is made from nothing elsewhere", flush=True)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/rpm", description=__doc__)
    parser.add_argument("--deb", action="store_true", help="make packages for a Debian instead, from the same trees")
    parser.add_argument("--sign", default="", metavar="KEY", help="sign them, and the list of them, with this gpg key")
    parser.add_argument("names", nargs="*", metavar="NAME", help="for example metwork-mfdata; by default all")
    parser.add_argument("--version", default="", help="by default that of setup.cfg")
    parser.add_argument("--release", default="", help="by default the number of commits, so that a later one upgrades")
    parser.add_argument("--python", type=Path, default=Path("/usr/bin/python3"), help="the Python of the servers")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the repository is made")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "rpm", help="where what was fetched is kept")
    parser.add_argument(
        "--twice", action="store_true", help="make each from nothing elsewhere too: it must be the same"
    )
    return parser.parse_args(arguments)


def _release() -> str:
    count, commit = _git("rev-list", "--count", "HEAD"), _git("rev-parse", "--short=7", "HEAD")
    changed = ".changed" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{count}.g{commit}{changed}" if count and commit else "1"


def _epoch() -> int:
    return int(_git("log", "-1", "--format=%ct") or _SOME_TIME)


def _git(*arguments: str) -> str:
    """What git says; '' where this is no checkout."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MetworkError as error:
        sys.exit(f"rpm: {error.message}")
