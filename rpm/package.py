"""From a staged tree to the RPM, by rpmbuild."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rpm.contents import LayerPackage, ModulePackage
from rpm.staging import stage_layer, stage_module
from rpm.target import Target

_TEMPLATES = Path(__file__).parent


def build(package: ModulePackage | LayerPackage, facts: Mapping[str, Any], target: Target, work: Path) -> Path:
    """The RPM of *package*, made in the folder *work*.

    Args:
        package: what to build.
        facts: ``version``, ``release``, ``license``, and ``epoch``: the time that all of it gets.
        target: what it runs on.
        work: where third-party software is kept from one build to the next.
    """
    folder = work / package.name
    shutil.rmtree(folder, ignore_errors=True)
    tree = folder / "tree"
    tree.mkdir(parents=True)
    if isinstance(package, ModulePackage):
        stage_module(package, tree, target, work, facts["epoch"])
    else:
        stage_layer(package, tree, target, work, facts["epoch"])
    spec = folder / f"{package.name}.spec"
    spec.write_text(spec_of(package, {**facts, "tree": tree}, target), "utf-8")
    _rpmbuild(spec, folder, facts["epoch"])
    shutil.rmtree(folder / "BUILDROOT", ignore_errors=True)
    return next((folder / "RPMS").rglob("*.rpm"))


def spec_of(package: ModulePackage | LayerPackage, facts: Mapping[str, Any], target: Target) -> str:
    """The spec file of *package*."""
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
        **facts,
        "license": f"{facts['license']} and those that metwork components lists" if brings_others else facts["license"],
        "name": package.name,
        "summary": package.summary,
        "description": f"{package.summary}.",
        "python": target.python,
        "dependencies": package.dependencies(f"{facts['version']}-{facts['release']}", target.python),
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
