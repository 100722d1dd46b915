"""The build of a package, by the real rpmbuild: what was made from the same is not made again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from rpm import __main__ as command
from rpm.contents import MODULES, ROOT, Facts
from rpm.deb import build_deb
from rpm.package import build, inputs_of, staged
from rpm.staging import BASH, DEBIAN_ZSH, FISH, ZSH
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


def test_rpmlint_finds_nothing_but_what_is_so_on_purpose(tmp_path: Path) -> None:
    if shutil.which("rpmlint") is None:
        pytest.skip("there is no rpmlint: tools/system-packages test")
    built = build(MFDATA, FACTS, target_of(Path("/usr/bin/python3")), tmp_path)
    command = ["rpmlint", "--config", str(ROOT / "rpm" / "rpmlint.toml"), str(built.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "0 errors, 0 warnings" in done.stdout, done.stdout


def test_no_command_of_a_package_leads_into_another_package(tmp_path: Path) -> None:
    target = target_of(Path("/usr/bin/python3"))
    tree = staged(MFDATA, FACTS, target, tmp_path, tmp_path / "staged")
    links = [path for path in (tree / "opt").rglob("*") if path.is_symlink()]
    assert len(links) > 10
    assert [path for path in links if not path.resolve().is_file() or not path.resolve().is_relative_to(tree)] == []


def test_completion_and_manual_pages_are_where_shells_and_man_look(tmp_path: Path) -> None:
    target = target_of(Path("/usr/bin/python3"))
    tree = staged(MFDATA, FACTS, target, tmp_path, tmp_path / "staged")
    programs = sorted(path.name for path in (tree / "opt/metwork-mfdata/bin").iterdir() if path.name != "metwork")
    pages = tree / "opt/metwork-mfdata/share/man/man1"
    assert sorted(path.name for path in pages.iterdir()) == [f"{name}.1" for name in programs]
    for folder, suffix in ((BASH, ""), (FISH, ".fish")):
        assert sorted(path.name for path in (tree / folder).iterdir()) == [f"{name}{suffix}" for name in programs]
        assert all("mfdata.start" in path.read_text("utf-8") for path in (tree / folder).iterdir())
    assert sorted((tree / ZSH / "_metwork-mfdata").read_text("utf-8").split("\n")[0].split()[1:]) == programs


def test_a_debian_has_the_completion_of_zsh_where_its_zsh_looks(tmp_path: Path) -> None:
    deb = build_deb(MFDATA, FACTS, target_of(Path("/usr/bin/python3")), tmp_path).file
    listed = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
    assert f"./{DEBIAN_ZSH}/_metwork-mfdata\n" in listed
    assert str(ZSH) not in listed


def test_what_is_built_is_signed_with_the_key_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("rpmsign") is None or shutil.which("gpg") is None:
        pytest.skip("there is no rpmsign or no gpg: tools/system-packages test")
    # The socket of gpg's agent must have a short path.
    with tempfile.TemporaryDirectory(prefix="gpg.", dir="/tmp") as keys:
        monkeypatch.setenv("GNUPGHOME", keys)
        new = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "rpm@example.org", "rsa3072"]
        subprocess.run([*new, "sign"], check=True, capture_output=True)
        arguments = ["--work", str(tmp_path / "work"), "--dist", str(tmp_path / "dist"), MFDATA.name]
        for _ in range(2):
            assert command.main([*arguments, "--sign", "rpm@example.org"]) == 0
        index = tmp_path / "dist" / "repodata" / "repomd.xml"
        subprocess.run(["gpg", "--verify", f"{index}.asc", index], check=True, capture_output=True)
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)
    rpm = next((tmp_path / "dist").glob("*.rpm"))
    shown = subprocess.run(["rpm", "-qp", "--qf", "%{RSAHEADER:pgpsig}", rpm], capture_output=True, text=True)
    assert "RSA/" in shown.stdout
