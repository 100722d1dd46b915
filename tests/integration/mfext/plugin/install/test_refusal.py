"""New versions that are no good: they are refused, or go back, and the old one goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.mfext.conftest import GOOD, Site

#: Starts well and ends at once.
CRASHES = "raise SystemExit(3)\n"


@pytest.mark.parametrize(
    ("more", "code", "status", "message"),
    [
        ("", "from mfdata import Step\nimport nothing_like_it\nStep.main()\n", 4, "No module named 'nothing_like_it'"),
        ("numprocesses = many\n", GOOD, 3, "[step_main] numprocesses"),
        ("[switch_rules:equal:a]\nb = nobody/main\n", GOOD, 3, "nobody/main"),
        ("", CRASHES, 5, "step.one.main: exit status 3"),
        ("cmd = no_such_program\n", GOOD, 4, 'there is no program "no_such_program"'),
    ],
)
def test_a_broken_new_version_leaves_the_old_one_running_and_says_so(
    running: Site, monkeypatch: pytest.MonkeyPatch, more: str, code: str, status: int, message: str
) -> None:
    running.does("install", running.release("one"))
    with monkeypatch.context() as patch:
        # Such an archive was made elsewhere, or for another version of MetWork.
        patch.setattr("mfext.plugin.release.release._check", lambda *_: None)
        patch.setattr("mfext.plugin.release.release.load_plugin", _lenient(running, "one", "2.0"))
        broken = running.release("one", "2.0", "", more, code)
    got = running.says("install", "--upgrade", broken)
    assert got[0] == status
    assert message in got[2]
    assert running.versions() == {"one": "1.0"}
    assert running.listed()["one"]["state"] == "running"
    assert running.rpm("-q", "one") == "one-1.0-1.noarch\n"
    assert running.leftovers() == []
    assert len(list((running.home.var / "releases").iterdir())) == 1
    assert str(running.home.plugins / ".transaction") not in got[2]


def _lenient(site: Site, name: str, version: str):  # type: ignore[no-untyped-def]
    """Loads the plugin as if its configuration were right."""
    from dataclasses import replace

    from mfext.module import load_module
    from mfext.plugin.manifest import load_plugin

    module = load_module("mfdata")

    def load(folder: Path, *_: object, **__: object) -> object:
        other = site.plugin(f"{name}_good", version)
        return replace(load_plugin(other, module, None), name=name, folder=folder)

    return load


def test_what_did_not_run_is_told_with_what_goes_on(running: Site) -> None:
    running.does("install", running.release("one"))
    said = running.refuses("install", "--upgrade", running.release("one", "2.0", code=CRASHES))
    assert "Nothing was installed: one 1.0-1 goes on" in said
    said = running.refuses("install", running.release("two", code=CRASHES))
    assert "Nothing was installed: two is not installed" in said


SPEC = """
Name: {name}
Version: 1.0
Release: 1
Summary: x
License: x
BuildArch: noarch
AutoReqProv: no
{head}
%description
x
%install
mkdir -p %{{buildroot}}/metwork_plugin/evil
printf '[general]\\nname = evil\\nversion = 1.0\\n[step_main]\\n' > %{{buildroot}}/metwork_plugin/evil/config.ini
echo 'raise SystemExit' > %{{buildroot}}/metwork_plugin/evil/main.py
{install}
{scripts}
%files
%defattr(-, root, root, -)
{files}
"""
HEAD = "Prefix: /metwork_plugin\nProvides: metwork_plugin(evil) = 1.0-1\nRequires: metwork-mfdata"
FILES = "/metwork_plugin/evil"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"head": HEAD + "\nObsoletes: one"}, "it has an Obsoletes"),
        ({"head": HEAD + "\nConflicts: one"}, "it has a Conflicts"),
        ({"head": HEAD + "\nEpoch: 7"}, "it has an Epoch"),
        ({"head": HEAD + "\nProvides: metwork_plugin(one) = 9-9"}, "it claims to be something else too"),
        ({"head": HEAD.replace("mfdata", "mfserv")}, "it is a plugin of mfserv; expected one of mfdata"),
        ({"head": HEAD.replace("Prefix: /metwork_plugin", "")}, "its prefix is missing"),
        ({"head": HEAD.replace("Requires: metwork-mfdata", "")}, "it does not say for which module it is"),
        ({"head": HEAD + "\nRequires: libfoo.so.1"}, "it requires libfoo.so.1, which is none of MetWork's"),
        ({"name": "other"}, 'it does not say that it is the plugin "other"'),
        ({"scripts": "%pre\ntouch /evil"}, "it has a script that runs at installation"),
        ({"scripts": "%post -p <lua>\nprint(1)"}, "it has a script that runs at installation"),
        ({"scripts": "%preun\ntrue"}, "it has a script that runs at installation"),
        ({"scripts": "%pretrans -p <lua>\nprint(1)"}, "it has a script that runs at installation"),
        ({"scripts": "%triggerin -- bash\ntrue"}, "it has a trigger"),
        ({"scripts": "%filetriggerin -- /usr\ntrue"}, "it has a trigger"),
        (
            {"install": "mkdir %{buildroot}/evil; touch %{buildroot}/evil/x", "files": FILES + "\n/evil"},
            "a file outside the plugin's folder: /evil",
        ),
        ({"install": "ln -s /etc %{buildroot}/metwork_plugin/evil/x"}, 'a link out of the plugin, to "/etc"'),
        ({"install": "ln -s ../one %{buildroot}/metwork_plugin/evil/x"}, 'a link out of the plugin, to "../one"'),
        ({"install": "chmod 4755 %{buildroot}/metwork_plugin/evil/main.py"}, "a setuid, setgid or sticky bit"),
        ({"install": "chmod 666 %{buildroot}/metwork_plugin/evil/main.py"}, "writable for everybody"),
        ({"install": "mkfifo %{buildroot}/metwork_plugin/evil/x"}, "neither a file nor a folder nor a link"),
        ({"install": "touch %{buildroot}/metwork_plugin/evil/.installed"}, "a file that only the installation makes"),
        (
            {"install": "sed -i s/evil/one/ %{buildroot}/metwork_plugin/evil/config.ini"},
            'its config.ini says that it is the plugin "one"; expected "evil"',
        ),
        ({"install": "rm %{buildroot}/metwork_plugin/evil/config.ini"}, "this is not a plugin"),
    ],
)
def test_an_archive_that_was_made_to_do_harm_is_refused_and_leaves_nothing(
    site: Site, parts: dict[str, str], message: str
) -> None:
    evil = _built(site.folder / "evil", parts)
    before = sorted(site.folder.iterdir())
    assert message in site.refuses("install", "--upgrade", evil)
    assert list(site.home.plugins.iterdir()) == list((site.home.var / "releases").iterdir()) == []
    assert [path for path in site.folder.iterdir() if path.name != "homes"] == before
    assert not Path("/evil").exists()
    assert not Path("/metwork_plugin").exists()


def test_a_harmless_archive_made_by_hand_is_installed(site: Site) -> None:
    site.does("install", _built(site.folder / "evil", {}))
    assert site.versions() == {"evil": "1.0"}


def _built(folder: Path, parts: dict[str, str]) -> Path:
    """The archive made of the recipe above with *parts* in place of what is as it should be."""
    folder.mkdir()
    all_parts = {"name": "evil", "head": HEAD, "install": "", "scripts": "", "files": FILES, **parts}
    (folder / "evil.spec").write_text(SPEC.format(**all_parts))
    command = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {folder}", str(folder / "evil.spec")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    made = list(folder.rglob("*.rpm"))
    assert made, done.stderr
    return made[0].rename(folder / "evil.plugin")
