"""Installed releases are looked at, and brought back to what they were."""

from __future__ import annotations

import json

from tests.integration.mfext.conftest import Site


def test_changed_missing_and_added_files_are_told_and_brought_back(site: Site) -> None:
    (site.plugin("one") / "data").mkdir()
    for name in ("a", "b", "c", "d"):
        (site.folder / "sources/one/data" / name).write_text(name)
    site.does("install", site.release("one"))
    assert site.says("check", "one") == (0, "INFO : The plugin one is correct\n", "")
    data = site.home.plugins / "one" / "data"
    (data / "a").write_text("x")
    (data / "b").unlink()
    (data / "c").chmod(0o600)
    (data / "d").unlink()
    (data / "d").symlink_to("/etc/passwd")
    (data / "more").write_text("")
    found = json.loads(site.says("check", "--json", "one")[1])
    assert (found["changed"], found["missing"], found["added"]) == (
        ["data/a", "data/c", "data/d"],
        ["data/b"],
        ["data/more"],
    )
    status, out, err = site.says("check", "one")
    assert (status, out.splitlines()[0]) == (4, "changed  data/a")
    assert "plugins.repair one" in err
    assert "is installed" in site.does("repair")
    assert site.says("check", "one") == (0, "INFO : The plugin one is correct\n", "")
    assert site.does("repair") == "INFO : All is as it should be already\n"
    assert "no release of the plugin" in site.refuses("repair", "other")


def test_a_damaged_database_is_made_anew(site: Site) -> None:
    site.does("install", site.release("one"), site.release("two"))
    for file in (site.home.var / "rpm").iterdir():
        file.write_bytes(b"x" * 100)
    site.does("repair")
    assert sorted(site.rpm("-qa").split()) == ["one-1.0-1.noarch", "two-1.0-1.noarch"]


def test_info_tells_of_archives_and_of_releases(site: Site) -> None:
    archive = site.release("one", "1.2", "license = MIT")
    facts = json.loads(site.does("info", "--json", archive))
    assert {key: facts[key] for key in ("name", "version", "module", "license", "signature")} == {
        "name": "one", "version": "1.2", "module": "mfdata", "license": "MIT", "signature": "none",
    }  # fmt: skip
    assert facts["files"] == ["config.ini", "main.py"]
    assert "| license    | MIT" in site.does("info", archive)
    site.does("install", archive)
    installed = json.loads(site.does("info", "--json", "one"))
    assert (installed["digest"], installed["signature"]) == (facts["digest"], "none")
    assert site.does("check", archive) == "INFO : The plugin one is correct\n"
