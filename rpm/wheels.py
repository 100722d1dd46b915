"""Third-party software: fetched once by pip, checked by its hashes, laid out as it is delivered."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import distributions
from pathlib import Path

from rpm.target import Target


def site_of(lock: Path, place: Path, target: Target, build: Path, without: Collection[str] = ()) -> Path:
    """A folder with everything that *lock* names installed, but for *without*; made anew when the lock has changed.

    Args:
        lock: what to install, with versions and hashes.
        place: where it will be in the end, which the bytecode names.
        target: what it is for.
        build: where it is kept.
        without: names of distributions that are not wanted.
    """
    wanted = _requirements(lock, without)
    family = f"{lock.stem}-{target.version}"
    folder = build / f"{family}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    site = folder / "site"
    if not site.is_dir():
        for older in build.glob(f"{family}-*"):
            shutil.rmtree(older)
        folder.mkdir(parents=True, exist_ok=True)
        requirements = folder / "requirements.txt"
        requirements.write_text(wanted, "utf-8")
        _download(requirements, folder / "wheels", target)
        _install(requirements, folder / "wheels", folder / "unfinished", target)
        _compile(folder / "unfinished", place, target)
        (folder / "unfinished").rename(site)
    return site


def names_in(site: Path) -> set[str]:
    """The names of all distributions in the folder *site*, as locks write them."""
    return {re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower() for one in distributions(path=[str(site)])}


def _requirements(lock: Path, without: Collection[str]) -> str:
    """The entries of *lock* but for those of *without*; an entry goes on in lines that are indented."""
    entries = re.findall(r"^[a-z0-9].*\n(?:[ ]+--hash.*\n)*", lock.read_text("utf-8"), re.MULTILINE)
    return "".join(entry for entry in entries if re.split(r"[=\[ ]", entry)[0] not in without)


def _download(requirements: Path, wheels: Path, target: Target) -> None:
    """Fetch everything as wheels that run on *target*; what is published as source alone is made one."""
    count = requirements.read_text("utf-8").count("==")
    print(f"\nrpm: fetching {count} packages, which {requirements} names", flush=True)
    _pip(target, "download", "--require-hashes", "-r", requirements, "-d", wheels)
    for source in sorted(wheels.glob("*.tar.gz")):
        build = ["-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
        known = set(wheels.glob("*.whl"))
        subprocess.run([sys.executable, *build, source, "-w", wheels], check=True)
        if not all(made.name.endswith("-none-any.whl") for made in set(wheels.glob("*.whl")) - known):
            raise SystemExit(f"rpm: {source.name} needs a compiler: what is compiled must come as a wheel")


def _install(requirements: Path, wheels: Path, site: Path, target: Target) -> None:
    shutil.rmtree(site, ignore_errors=True)
    names = requirements.with_name("names.txt")
    # Hashes were checked when it came; a wheel made here has none.
    names.write_text(re.sub(r" *\\\n *--hash\S*", "", requirements.read_text("utf-8")), "utf-8")
    local = ("--no-index", "--find-links", wheels, "--only-binary", ":all:")
    plain = ("--no-compile", "--root-user-action", "ignore")
    _pip(target, "install", *local, *plain, "-r", names, "--target", site)
    # Programs of wheels begin with the path of the Python that installed them; whoever wants one has ``python -m``.
    shutil.rmtree(site / "bin", ignore_errors=True)


def _compile(site: Path, place: Path, target: Target) -> None:
    """Make the bytecode. It is never compared with its source, whose time is another one in each RPM."""
    compiling = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    # Some packages bring templates, or code for another Python, that cannot be compiled.
    command: list[str | Path] = [target.python, *compiling, "-s", site, "-p", place, site]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def _pip(target: Target, command: str, *arguments: str | Path) -> None:
    """Run pip as the target's Python, for the target's platform rather than for the newer one of this machine."""
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    quiet = ("--disable-pip-version-check", "--no-input", "-q")
    program = [sys.executable, "-m", "pip", "--python", str(target.python), command]
    subprocess.run([*program, *quiet, "--no-deps", *platforms, *arguments], check=True)
