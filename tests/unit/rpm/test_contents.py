from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mfext.module import module_names
from rpm.contents import LAYERS, MODULES, ROOT, Facts, ModulePackage, commands_of, lock_of
from rpm.package import Built, spec_of
from rpm.repository import publish
from rpm.target import Target

TARGET = Target(Path("/usr/bin/python3.11"), "x86_64")
FACTS = Facts("1.0", "1", "BSD-3-Clause", 0)
TREE = Path("/tree")


def test_every_module_has_an_rpm() -> None:
    assert {package.module for package in MODULES} == {"mfext", *module_names()}


def test_every_command_belongs_to_one_rpm() -> None:
    scripts = [
        point.name for point in entry_points(group="console_scripts") if point.value == "mfext.commands.cli:alias"
    ]
    delivered = [name for package in MODULES for name in commands_of(package.module, scripts)]
    assert sorted(delivered) == sorted(scripts)
    assert commands_of("mfdata", ["metwork", "mfdata.start", "plugins.list"]) == ["mfdata.start"]


@pytest.mark.parametrize("name", ["mfext", *(layer.layer for layer in LAYERS)])
def test_every_lock_has_hashes_for_all_that_it_names(name: str) -> None:
    entries = [line for line in lock_of(name).read_text("utf-8").splitlines() if line and line[0].isalpha()]
    assert entries
    assert all(line.endswith("\\") for line in entries)


def test_what_mfext_brings_is_what_is_tested_here() -> None:
    tested = (ROOT / "requirements.lock").read_text("utf-8")
    brought = [line.split(" ")[0] for line in lock_of("mfext").read_text("utf-8").splitlines() if line[:1].isalpha()]
    assert [one for one in brought if f"\n{one} " not in tested and not one.startswith("pip==")] == []


@pytest.mark.parametrize("layer", [layer.layer for layer in LAYERS])
def test_what_a_layer_and_mfext_both_need_has_one_version(layer: str) -> None:
    assert (
        versions("mfext").items()
        >= {name: version for name, version in versions(layer).items() if name in versions("mfext")}.items()
    )


def versions(lock: str) -> dict[str, str]:
    lines = [line.split(" ")[0] for line in lock_of(lock).read_text("utf-8").splitlines() if line[:1].isalpha()]
    return dict(line.split("==") for line in lines)


def test_every_layer_says_what_it_brings() -> None:
    assert all((ROOT / f"rpm/layers/{layer.layer}.in").is_file() for layer in LAYERS)


@pytest.mark.parametrize("package", [*MODULES, *LAYERS], ids=lambda package: package.name)
def test_no_scriptlet_needs_a_shell_and_no_dependency_a_package_of_the_system(package: ModulePackage) -> None:
    lines = spec_of(package, FACTS, TARGET, TREE).splitlines()
    scriptlets = [line for line in lines if line.startswith(("%pre", "%post", "%preun", "%postun", "%trigger"))]
    assert scriptlets
    assert all(line.endswith("-p <lua>") for line in scriptlets)
    assert all(line.split()[1].startswith("metwork-mfext") for line in lines if line.startswith("Requires:"))


@pytest.mark.parametrize("package", [*MODULES, *LAYERS], ids=lambda package: package.name)
def test_rpm_reads_from_the_spec_file_what_the_package_needs(package: ModulePackage, tmp_path: Path) -> None:
    if shutil.which("rpmspec") is None:
        pytest.skip("there is no rpmspec: tools/system-packages")
    spec = tmp_path / "package.spec"
    spec.write_text(spec_of(package, FACTS, TARGET, TREE), "utf-8")
    wanted = package.dependencies("1.0-1", TARGET.python)
    assert wanted.requires or wanted.recommends
    assert tags(spec, "REQUIRENEVRS") == sorted(wanted.requires)
    assert tags(spec, "RECOMMENDNEVRS") == sorted(wanted.recommends)


def tags(spec: Path, query: str) -> list[str]:
    """What rpm understands of the tags that *query* asks for."""
    asked = subprocess.run(
        ["rpmspec", "-q", "--qf", f"[%{{{query}}}\\n]", spec], capture_output=True, text=True, check=True
    )
    return sorted(line for line in asked.stdout.splitlines() if not line.startswith("rpmlib("))


@pytest.mark.parametrize("package", [*MODULES, *LAYERS], ids=lambda package: package.name)
def test_every_line_of_a_spec_file_begins_where_the_one_before_ended(package: ModulePackage) -> None:
    text = spec_of(package, FACTS, TARGET, TREE)
    head = text.partition("%description")[0]
    odd = [line for line in head.splitlines() if line and not re.fullmatch(r"#.*|%global .*|[A-Z]\w+: \S.*", line)]
    assert odd == []
    assert "AutoReqProv: no" in head.splitlines()
    assert text.endswith("\n")


def test_what_must_run_on_an_old_c_library_is_asked_for() -> None:
    assert TARGET.platforms[0] == "manylinux_2_28_x86_64"
    assert "manylinux2014_x86_64" in TARGET.platforms
    assert str(TARGET.site) == "lib/python3.11/site-packages"


def test_an_rpm_takes_the_place_of_its_older_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpm.repository.subprocess.run", lambda *_, **__: None)
    for folder, names in {"dist": ("m-1-1.noarch.rpm", "m-x-1-1.noarch.rpm"), "new": ("m-1-2.noarch.rpm",)}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    publish([Built(tmp_path / "new/m-1-2.noarch.rpm", is_new=True)], tmp_path / "dist")
    assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == ["m-1-2.noarch.rpm", "m-x-1-1.noarch.rpm"]


def test_what_is_published_already_stays_as_it_is_with_its_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed = []
    monkeypatch.setattr("rpm.repository.subprocess.run", lambda command, **_: indexed.append(command))
    made = tmp_path / "m-1-1.noarch.rpm"
    made.write_bytes(b"made")
    publish([Built(made, is_new=True)], tmp_path / "dist")
    (tmp_path / "dist" / "repodata").mkdir()
    (tmp_path / "dist" / "repodata" / "repomd.xml").touch()
    signed = tmp_path / "dist" / made.name
    signed.write_bytes(b"signed")
    assert publish([Built(made, is_new=False)], tmp_path / "dist") == [signed]
    assert signed.read_bytes() == b"signed"
    assert len(indexed) == 1
