"""The build of a package, by the real rpmbuild: what was made from the same is not made again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rpm import __main__ as command
from rpm.contents import MODULES, Facts
from rpm.package import build, inputs_of
from rpm.target import target_of

FACTS = Facts("1.0", "1", "BSD-3-Clause", 1767225600)
MFDATA = next(package for package in MODULES if package.module == "mfdata")


@pytest.fixture(autouse=True)
def need() -> None:
    """Skip where packages cannot be built."""
    for program in ("rpmbuild", "createrepo_c"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}: tools/system-packages rpm")
    try:
        target_of(Path("/usr/bin/python3"))
    except SystemExit as error:
        pytest.skip(str(error))


def test_a_second_build_makes_nothing_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--work", str(tmp_path / "work"), "--dist", str(tmp_path / "dist"), "--release", "7", MFDATA.name]
    said, times = [], []
    for _ in range(2):
        assert command.main(arguments) == 0
        said.append(capfd.readouterr().out)
        times.append({path: path.stat().st_mtime_ns for path in (tmp_path / "dist").rglob("*")})
    assert "made in" in said[0]
    assert "is there" in said[1]
    assert times[0] == times[1]
    assert command.main([*arguments, "--release", "8"]) == 0
    assert [path.name.rsplit("-", 1)[1] for path in (tmp_path / "dist").glob("*.rpm")] == ["8.noarch.rpm"]


def test_a_build_that_was_killed_is_made_again(tmp_path: Path) -> None:
    target = target_of(Path("/usr/bin/python3"))
    (tmp_path / MFDATA.name / "RPMS").mkdir(parents=True)
    (tmp_path / MFDATA.name / "RPMS" / "half.rpm").write_bytes(b"half")
    built = build(MFDATA, FACTS, target, tmp_path)
    assert (built.is_new, built.file.name) == (True, "metwork-mfdata-1.0-1.noarch.rpm")
    assert not build(MFDATA, FACTS, target, tmp_path).is_new


def test_a_package_is_made_again_when_what_it_is_made_from_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(Path("/usr/bin/python3"))
    names = ("rpm", "mfext", "mfdata", "mfserv", "plugin_templates/mfdata", "docs", "setup.cfg", "LICENSE")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).mkdir() if "." not in name and name != "LICENSE" else (tmp_path / name).write_text(name)
    monkeypatch.setattr("rpm.package.ROOT", tmp_path)
    before = inputs_of(MFDATA, FACTS, target)
    assert inputs_of(MFDATA, FACTS, target) == before
    (tmp_path / "mfserv" / "new.py").touch()
    (tmp_path / "mfdata" / "__pycache__").mkdir()
    (tmp_path / "mfdata" / "__pycache__" / "old.pyc").touch()
    assert inputs_of(MFDATA, FACTS, target) == before
    (tmp_path / "mfdata" / "new.py").touch()
    after = inputs_of(MFDATA, FACTS, target)
    assert after != before
    (tmp_path / "mfdata" / "new.py").chmod(0o755)
    assert inputs_of(MFDATA, FACTS, target) not in (before, after)
    assert inputs_of(MFDATA, replace(FACTS, release="2"), target) != inputs_of(MFDATA, FACTS, target)
