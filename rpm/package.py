"""From a staged tree to the RPM, by rpmbuild."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rpm.contents import ROOT, Facts, LayerPackage, ModulePackage
from rpm.staging import JUNK_PARTS, stage_layer, stage_module
from rpm.target import Target

_TEMPLATES = Path(__file__).parent


@dataclass(frozen=True)
class Built:
    """A package that was made."""

    file: Path
    #: It was made now; otherwise it was there, made from the same.
    is_new: bool


def build(package: ModulePackage | LayerPackage, facts: Facts, target: Target, work: Path) -> Built:
    """The RPM of *package*, made in the folder *work*, or the one that was made there from the same inputs.

    Args:
        package: what to build.
        facts: of the build.
        target: what it runs on.
        work: where third-party software and packages are kept from one build to the next.
    """
    folder = work / package.name
    noted, inputs = folder / "inputs", inputs_of(package, facts, target)
    made = next((folder / "RPMS").rglob("*.rpm"), None)
    if made and noted.is_file() and noted.read_text("ascii") == inputs:
        return Built(made, is_new=False)
    tree = staged(package, facts, target, work, folder)
    spec = folder / f"{package.name}.spec"
    spec.write_text(spec_of(package, facts, target, tree), "utf-8")
    _rpmbuild(spec, folder, facts.epoch)
    shutil.rmtree(folder / "BUILDROOT", ignore_errors=True)
    noted.write_text(inputs, "ascii")
    return Built(next((folder / "RPMS").rglob("*.rpm")), is_new=True)


def staged(package: ModulePackage | LayerPackage, facts: Facts, target: Target, work: Path, folder: Path) -> Path:
    """A folder in *folder*, which is made anew, with all that *package* brings, as it will lie below ``/``.

    What was fetched for it is in *work*.
    """
    shutil.rmtree(folder, ignore_errors=True)
    tree = folder / "tree"
    tree.mkdir(parents=True)
    if isinstance(package, ModulePackage):
        stage_module(package, tree, target, work, facts)
    else:
        stage_layer(package, tree, target, work, facts)
    return tree


def inputs_of(package: ModulePackage | LayerPackage, facts: Facts, target: Target) -> str:
    """Changes when anything changes that the RPM of *package* is made from: a digest."""
    digest = hashlib.sha256(repr((package, facts, target, _program_version("rpmbuild"))).encode())
    for path in sorted(_sources(package)):
        digest.update(f"{path} {path.stat().st_mode & 0o100}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _sources(package: ModulePackage | LayerPackage) -> Iterator[Path]:
    """The files of the checkout that *package* is made from."""
    tops = ["rpm"]
    if isinstance(package, ModulePackage):
        # What mfext decides, such as the form of a default configuration, is in the package of each module.
        tops += [
            "mfext",
            package.module,
            f"plugin_templates/{package.module}",
            "docs",
            "setup.cfg",
            "LICENSE",
            "CHANGELOG.md",
        ]
    for top in tops:
        place = ROOT / top
        yield from [place] if place.is_file() else (path for path in place.rglob("*") if _is_source(path))


def _is_source(path: Path) -> bool:
    return path.is_file() and not JUNK_PARTS & {*path.parts} and path.suffix != ".pyc"


def _program_version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout


def spec_of(package: ModulePackage | LayerPackage, facts: Facts, target: Target, tree: Path) -> str:
    """The spec file of *package*, whose files lie in *tree*."""
    loader = FileSystemLoader(_TEMPLATES)
    # A spec file is no HTML; and what is included ends with its last line, not within it.
    jinja = Environment(  # nosec B701
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    brings_others = isinstance(package, LayerPackage) or package.module == "mfext"
    common = {
        "version": facts.version,
        "release": facts.release,
        # The command metwork components lists those of the others.
        "license": f"{facts.license} AND LicenseRef-Components" if brings_others else facts.license,
        "packager": facts.packager,
        "day": datetime.fromtimestamp(facts.epoch, UTC).strftime("%a %b %d %Y"),
        "tree": tree,
        "name": package.name,
        "summary": package.summary,
        "description": f"{package.summary}.",
        "python": target.python,
        "dependencies": package.dependencies(facts.build, target.python),
        "python_version": target.version,
        "site": target.site,
    }
    if isinstance(package, LayerPackage):
        return jinja.get_template("layer.spec.j2").render(common, noarch=False)
    own = {"module": package.module, "noarch": package.module != "mfext"}
    return jinja.get_template("module.spec.j2").render(common, **own)


def _rpmbuild(spec: Path, folder: Path, epoch: int) -> None:
    defines = [word for name in ("_topdir", "_tmppath") for word in ("--define", f"{name} {folder}")]
    # The bash of the user would be another one elsewhere, and so would macros of his own.
    environment = {"PATH": os.defpath, "HOME": str(folder), "SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"}
    command = ["rpmbuild", "-bb", "--quiet", *defines, str(spec)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"rpm: {spec.name} cannot be built:\n{done.stdout}{done.stderr}")
