"""From the same staged tree to the package of a Debian, by dpkg-deb."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rpm.contents import FRAMEWORK, Facts, LayerPackage, ModulePackage
from rpm.package import Built, inputs_of, staged
from rpm.staging import DEBIAN_ZSH, ZSH
from rpm.target import Target

_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
_TEMPLATES = Path(__file__).with_name("debian")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def build_deb(package: ModulePackage | LayerPackage, facts: Facts, target: Target, work: Path) -> Built:
    """The .deb of *package*, made in the folder *work*, or the one that was made there from the same inputs."""
    folder = work / "deb" / package.name
    noted, inputs = folder / "inputs", inputs_of(package, facts, target)
    file = folder / f"{package.name}_{facts.build}_{_architecture(package, target)}.deb"
    if file.is_file() and noted.is_file() and noted.read_text("ascii") == inputs:
        return Built(file, is_new=False)
    tree = staged(package, facts, target, work, folder)
    # The home is made with its owner by a script: it is no part of what is removed.
    shutil.rmtree(tree / "home", ignore_errors=True)
    if (tree / ZSH).is_dir():
        (tree / ZSH).rename(tree / DEBIAN_ZSH)
    _write_control(package, facts, target, tree)
    _dpkg_deb(tree, file, facts.epoch)
    noted.write_text(inputs, "ascii")
    return Built(file, is_new=True)


def control(package: ModulePackage | LayerPackage, facts: Facts, target: Target, size: int = 0) -> str:
    """The control file of *package*, which takes *size* KiB (pure)."""
    fields = {
        "Package": package.name,
        "Version": facts.build,
        "Architecture": _architecture(package, target),
        "Maintainer": facts.packager,
        "Installed-Size": str(size),
        "Depends": ", ".join(_depends(package, facts, target)),
        "Recommends": "make" if package.name == FRAMEWORK else "",
        "Provides": _provided(target) if package.name == FRAMEWORK else "",
        "Section": "science",
        "Priority": "optional",
        "Homepage": "https://github.com/metwork-framework",
        "Description": f"{package.summary}\n {package.summary}.",
    }
    return "".join(f"{name}: {text}\n" for name, text in fields.items() if text)


def scripts(package: ModulePackage | LayerPackage) -> dict[str, str]:
    """What dpkg runs before and after it exchanges the files of *package*, by the names that dpkg has for it."""
    jinja = Environment(  # nosec B701
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    module = package.module if isinstance(package, ModulePackage) else ""
    facts = {"name": package.name, "module": module, "is_framework": package.name == FRAMEWORK, "framework": FRAMEWORK}
    return {name: jinja.get_template(f"{name}.j2").render(facts) for name in _SCRIPTS}


def _depends(package: ModulePackage | LayerPackage, facts: Facts, target: Target) -> list[str]:
    if isinstance(package, LayerPackage):
        return [f"{FRAMEWORK} (>= {facts.version})", _provided(target)]
    own = [target.python.name] if package.name == FRAMEWORK else [f"{FRAMEWORK} (= {facts.build})"]
    return [*own, *package.debian]


def _provided(target: Target) -> str:
    """What mfext provides for the layers, which are for one Python."""
    return f"{FRAMEWORK}-{target.python.name}"


def _architecture(package: ModulePackage | LayerPackage, target: Target) -> str:
    is_plain = isinstance(package, ModulePackage) and package.name != FRAMEWORK
    return "all" if is_plain else _MACHINES.get(target.machine, platform.machine())


def _write_control(package: ModulePackage | LayerPackage, facts: Facts, target: Target, tree: Path) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files) // 1024 + 1
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files]  # noqa: S324  # nosec: as dpkg has it
    folder = tree / "DEBIAN"
    folder.mkdir(mode=0o755)
    texts = {
        "control": control(package, facts, target, size),
        "conffiles": "".join(f"/{path.relative_to(tree)}\n" for path in _configuration(tree)),
        "md5sums": "".join(sums),
        "triggers": "interest-noawait metwork-upgrade\n" if package.name == FRAMEWORK else "",
    }
    for name, text in texts.items():
        if text:
            (folder / name).write_text(text, "utf-8")
    for name, text in scripts(package).items():
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o755)
    for path in [folder, *folder.iterdir()]:
        os.utime(path, (facts.epoch, facts.epoch))


def _configuration(tree: Path) -> Iterator[Path]:
    """What an administrator may edit."""
    yield from sorted(path for path in (tree / "etc").rglob("*") if path.is_file() and not path.is_symlink())


def _dpkg_deb(tree: Path, file: Path, epoch: int) -> None:
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z10", "--build", str(tree), str(file)]
    environment = {"PATH": os.defpath, "SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"rpm: {file.name} cannot be built:\n{done.stdout}{done.stderr}")
