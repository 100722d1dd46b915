"""What administrators override and provide."""

from __future__ import annotations

import shutil

import pytest

from mfext.commands.cli import run
from tests.integration.mfext.conftest import Site

#: A step whose own key is declared.
DECLARES = """
from dataclasses import dataclass
from mfdata import Step
from mfext.option import option
from mfext.section import Section

class Mine(Step):
    @dataclass(frozen=True)
    class Custom(Section):
        KEY: int = option(1, help="A key.")

if __name__ == "__main__":
    Mine.main()
"""


def test_overrides_stay_through_an_upgrade_and_keys_that_are_gone_are_told(running: Site) -> None:
    overrides = running.home.config / "plugins" / "one.ini"
    overrides.write_text("[step_main]\nnumprocesses = 2\ngone = 1\n[step_gone]\nnumprocesses = 3\n[custom]\nkey = 5\n")
    status, _, err = running.says("install", running.release("one", code=DECLARES.replace("KEY", "key")))
    assert status == 0
    assert err.splitlines() == [
        f"WARNING : {overrides}:3 [step_main] gone: there is no such key any more",
        f"WARNING : {overrides}:4 [step_gone]: there is no such section any more",
    ]
    assert len(running.pids("one")) == 2
    status, _, err = running.says(
        "install", "--upgrade", running.release("one", "2", code=DECLARES.replace("KEY", "new"))
    )
    assert (status, len(running.pids("one"))) == (0, 2), err
    assert f"{overrides}:7 [custom] key: there is no such key any more" in err
    _, _, err = running.says("check", "one")
    assert "gone: there is no such key any more" in err


def test_overrides_that_are_wrong_are_errors_all_the_same(running: Site) -> None:
    overrides = running.home.config / "plugins" / "one.ini"
    overrides.write_text("[step_main]\nnumprocesses = many\n")
    assert f"{overrides}:2 [step_main] numprocesses" in running.refuses("install", running.release("one"))


def test_provided_archives_are_installed_and_upgraded_at_start(site: Site) -> None:
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    tool, user = site.release("tool"), site.release("a_user", general="requires = tool")
    for archive in (tool, user):
        shutil.copy(archive, provided)
    assert run(["mfdata", "start"]) == 0
    assert {name: one["state"] for name, one in site.listed().items()} == {"a_user": "running", "tool": "running"}
    shutil.copy(site.release("tool", "1.1"), provided)
    assert run(["mfdata", "restart"]) == 0
    assert site.versions() == {"a_user": "1.0", "tool": "1.1"}
    site.does("install", "--upgrade", site.release("tool", "1.2"))
    assert run(["mfdata", "restart"]) == 0
    assert site.versions()["tool"] == "1.2"


def test_a_provided_archive_that_is_no_good_hinders_no_other(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    (provided / "broken.plugin").write_text("no archive")
    shutil.copy(site.release("good"), provided)
    assert run(["mfdata", "start"]) == 4
    assert "broken.plugin: this is no RPM" in capfd.readouterr().err
    assert site.listed()["good"]["state"] == "running"


def test_a_dev_link_stays_before_what_is_provided(site: Site) -> None:
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    shutil.copy(site.release("one", "9.0"), provided)
    site.does("develop", site.folder / "sources" / "one")
    assert run(["mfdata", "start"]) == 0
    assert site.versions() == {"one": "dev_link"}
