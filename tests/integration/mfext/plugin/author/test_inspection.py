"""plugins.check finds what plugins.release, plugins.install and the start of a module would find."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.mfext.conftest import GOOD, Site

Break = Callable[[Site, Path], object]

NEEDS = "from helper import HELP\n\n" + GOOD
DECLARES = """\
from dataclasses import dataclass

from mfdata import Step
from mfext.option import option
from mfext.section import Section


@dataclass(frozen=True)
class Keys(Section):
    station: str = option(help="Which.")
    code: str = option("", help="What opens it.", secret=True)


class Own(Step):
    Custom = Keys


if __name__ == "__main__":
    Own.main()
"""


def _general(line: str) -> Break:
    return lambda site, _: site.plugin("one", general=line)


def _not_executable(site: Site, folder: Path) -> None:
    site.plugin("one", more="cmd = ./run\n")
    (folder / "run").touch(mode=0o644)


def _ignored_helper(site: Site, _: Path) -> None:
    folder = site.plugin("one", code=NEEDS)
    (folder / "helper.py").write_text("HELP = 1\n")
    (folder / ".releaseignore").write_text("helper.py\n")


def _only_overridden(site: Site, _: Path) -> None:
    site.plugin("one", code=DECLARES)
    _override(site, "station = orly")


def _given_away(site: Site, _: Path) -> None:
    site.plugin("one", more="[custom]\ncode = dear\nstation = orly\n", code=DECLARES)
    _override(site, "station = roissy")


def _override(site: Site, line: str) -> None:
    file = site.home.config / "plugins" / "one.ini"
    file.parent.mkdir(parents=True)
    file.write_text(f"[custom]\n{line}\n")


#: What is done to a plugin, and what is then said of it.
FOUND_BY_RELEASE: dict[str, tuple[Break, str]] = {
    "bad version": (_general("release = 1 0"), "release"),
    "requirement in another form": (_general("requires = two >> 1"), '"two >> 1" is not understood'),
    "requirement of another module": (_general("requires = metwork-mfserv"), "cannot require metwork-mfserv"),
    "layer not there": (_general("layers = nosuch"), 'no layer "nosuch"'),
    "link out of the plugin": (lambda _, folder: (folder / "out").symlink_to("/etc"), "leads out of the plugin"),
    "neither file nor folder": (lambda _, folder: os.mkfifo(folder / "pipe"), "neither a file nor a folder"),
    "file needed and not released": (_ignored_helper, "No module named 'helper'"),
    "list of what is not released": (
        lambda _, folder: (folder / ".releaseignore").write_bytes(b"\xff"),
        "cannot be read",
    ),
    "key that only this machine sets": (_only_overridden, "station"),
    "secret in config.ini": (_given_away, "[custom] code: a secret"),
    "program not there": (lambda _, folder: (folder / "main.py").unlink(), "main.py"),
    "program not executable": (_not_executable, 'no program "./run"'),
    "import error": (lambda site, _: site.plugin("one", code="import nosuch\n" + GOOD), "No module named 'nosuch'"),
    "import error of a class of a module": (
        lambda site, _: site.plugin("one", code="import nosuch\n\nnosuch.Own.main()\n"),
        "No module named 'nosuch'",
    ),
    "class that is not there": (
        lambda site, _: site.plugin("one", code=GOOD.replace("Step.main", "Stepp.main")),
        "name 'Stepp' is not defined",
    ),
    "program that runs nothing": (
        lambda site, _: site.plugin("one", code="from mfdata import Step\n\n\nclass Own(Step):\n    pass\n"),
        "main.py: this program ends at once",
    ),
    "rules that are wrong": (
        lambda site, _: site.plugin("one", more="switch_logical_condition = (\n"),
        "switch_logical_condition",
    ),
}


@pytest.mark.parametrize("fault", FOUND_BY_RELEASE)
def test_what_a_release_refuses_plugins_check_finds(site: Site, fault: str) -> None:
    spoil, said = FOUND_BY_RELEASE[fault]
    folder = site.plugin("one")
    site.does("check", folder)
    spoil(site, folder)
    assert said in site.refuses("release", "--to", site.folder, folder)
    message = site.refuses("check", folder)
    assert said in message
    assert "metwork-release." not in message


def test_a_class_that_gets_its_name_when_the_program_runs_is_no_fault(site: Site) -> None:
    late = "if __name__ == '__main__':\n    from mfdata import Step\n\n    Step.main()\n"
    site.does("check", site.plugin("one", code=late))


def test_all_that_a_release_refuses_is_said_at_once(site: Site) -> None:
    folder = site.plugin("one", general="requires = two >> 1")
    os.mkfifo(folder / "pipe")
    message = site.refuses("check", folder)
    assert message.count('"two >> 1" is not understood') == 1
    assert f"{folder}/pipe: this is neither a file nor a folder" in message


def test_the_name_of_a_built_in_plugin_cannot_be_had(site: Site) -> None:
    folder = site.plugin("switch")
    assert f'{folder}/config.ini:2 [general] name: the plugin "switch" is built in' in site.refuses("check", folder)
    site.does("check", "switch")


def test_what_an_installation_would_not_find_here_is_worth_a_warning(site: Site) -> None:
    folder = site.plugin("one", general="requires = two >= 2, metwork-mfdata")
    status, _, err = site.says("check", folder)
    assert status == 0
    assert 'requires the plugin "two" >= 2, which is not installed' in err
    assert "which is not installed" in site.refuses("check", "--strict", folder)
    site.does("install", site.release("two", "1.0"))
    assert "and that would be version 1.0-1" in site.refuses("check", "--strict", folder)
    site.does("install", "--upgrade", site.release("two", "2.0"))
    site.does("check", "--strict", folder)


def test_an_unknown_destination_is_worth_a_warning(site: Site) -> None:
    folder = site.plugin("one", more="[custom]\ndestination = nosuch/main\n")
    assert "nosuch/main" in site.refuses("check", "--strict", folder)
