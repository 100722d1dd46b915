from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rpm.contents import LAYERS, MODULES, Facts, LayerPackage, ModulePackage
from rpm.deb import control, scripts
from rpm.target import Target

TARGET = Target(Path("/usr/bin/python3.11"), "x86_64")
FACTS = Facts("1.0", "7.gabc", "BSD-3-Clause", 0)
PACKAGES = [*MODULES, *LAYERS]
Package = ModulePackage | LayerPackage


def fields(package: Package) -> dict[str, str]:
    lines = control(package, FACTS, TARGET).splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_debian_reads_what_the_package_needs(package: Package) -> None:
    found = fields(package)
    assert (found["Package"], found["Version"]) == (package.name, "1.0-7.gabc")
    depends = found["Depends"].split(", ")
    if isinstance(package, LayerPackage):
        assert depends == ["metwork-mfext (>= 1.0)", "metwork-mfext-python3.11"]
    elif package.module == "mfext":
        assert depends == ["python3.11", *package.debian]
        assert found["Provides"] == "metwork-mfext-python3.11"
    else:
        assert depends == ["metwork-mfext (= 1.0-7.gabc)", *package.debian]
    plain = isinstance(package, ModulePackage) and package.module != "mfext"
    assert found["Architecture"] == ("all" if plain else "amd64")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_script_is_one_that_sh_reads_and_that_ends_well_when_nothing_is_to_do(
    package: Package, tmp_path: Path
) -> None:
    for name, text in scripts(package).items():
        script = tmp_path / name
        script.write_text(text)
        assert text.startswith("#!/bin/sh\nset -e\n")
        assert "{" not in text.replace("${", "")
        subprocess.run(["sh", "-n", script], check=True)
        subprocess.run(["sh", script, "abort-upgrade"], check=True)
        if shutil.which("shellcheck"):
            subprocess.run(["shellcheck", script], check=True)
