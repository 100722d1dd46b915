"""Secrets of plugins: kept on the machine that needs them, never in what is handed on."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from tests.integration.mfext.conftest import GOOD, Site

#: A step whose declaration alone says what is secret.
DECLARES = """
from dataclasses import dataclass
from mfdata import Step
from mfext.option import option
from mfext.section import Section

class Mine(Step):
    @dataclass(frozen=True)
    class Custom(Section):
        pin: str = option(secret=True, help="Who may.")
        max_tokens: int = option(1, help="A number.")

if __name__ == "__main__":
    Mine.main()
"""
PASSWORD = "hunter2"


def _say(folder: Path, *lines: str) -> None:
    """Put *lines* at the end of the plugin's config.ini."""
    with (folder / "config.ini").open("a") as file:
        file.write("\n".join(["", *lines, ""]))


def _made(site: Site, *settings: str) -> Path:
    words = [word for setting in settings for word in ("--set", setting)]
    site.does("create", "--no-input", "--template", "ftpsend", *words, "send")
    return site.folder / "send"


def _override(site: Site, name: str) -> Path:
    return site.home.config / "plugins" / f"{name}.ini"


def _archive_text(archive: Path) -> bytes:
    """The files in *archive*, uncompressed."""
    return subprocess.run(["rpm2cpio", archive], capture_output=True, check=True).stdout


def test_a_new_plugin_has_its_password_in_an_override_that_only_its_user_reads(site: Site) -> None:
    folder = _made(site, f"passwd={PASSWORD}", "machine=mybox")
    assert not [path for path in folder.rglob("*") if path.is_file() and PASSWORD in path.read_text()]
    config = (folder / "config.ini").read_text()
    assert "machine = mybox" in config
    words = " ".join(config.replace("# ", "").split())
    assert "A secret: write it into config/plugins/send.ini of the home of mfdata, never here." in words
    assert _override(site, "send").read_text() == f"[custom]\npasswd = {PASSWORD}\n"
    assert stat.S_IMODE(_override(site, "send").stat().st_mode) == 0o600


def test_made_here_and_released_it_is_installed_elsewhere_with_the_password_of_that_place(
    running: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _made(running, f"passwd={PASSWORD}")
    (folder / "tests" / "rules.yaml").unlink()
    running.does("develop", folder)
    running.does("release", "--to", running.folder, folder)
    archive = next(running.folder.glob("*.plugin"))
    assert b"config.ini" in _archive_text(archive)
    assert PASSWORD.encode() not in _archive_text(archive)
    running.does("uninstall", "send")
    _override(running, "send").write_text("[custom]\npasswd = of this place\n")
    running.does("install", archive)
    assert running.listed()["send"]["state"] == "running"
    shown = running.does("info", "send")
    assert "of this place" not in shown
    assert "********" in shown


def test_an_override_that_says_something_else_is_not_touched_and_no_plugin_is_made(site: Site) -> None:
    _override(site, "send").parent.mkdir(parents=True)
    _override(site, "send").write_text("[custom]\nuser = me\n")
    words = ("create", "--no-input", "--template", "ftpsend", "--set", f"passwd={PASSWORD}", "send")
    message = site.refuses(*words)
    assert f"{_override(site, 'send')}: this exists already" in message
    assert "[custom] passwd" in message
    assert PASSWORD not in message
    assert not (site.folder / "send").exists()
    _override(site, "send").unlink()
    site.does(*words)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (("[custom]", "passwd = hunter2"), "8 [custom] passwd"),
        (("[custom]", "url = ftp://me:hunter2@mybox"), "8 [custom] url"),
        (("debug = ftp://me:hunter2@mybox",), ""),
    ],
)
def test_a_secret_in_config_ini_is_not_released(site: Site, lines: tuple[str, ...], place: str) -> None:
    folder = site.plugin("one")
    if not place:
        (folder / "config.ini").write_text("[general]\nname = one\nurl = https://me:hunter2@example.org\n[step_main]\n")
        place = "3 [general] url"
    else:
        _say(folder, *lines)
    message = site.refuses("release", "--to", site.folder, folder)
    assert f"{folder}/config.ini:{place}: a secret, which all who get the archive could read" in message
    assert f"Write it into {_override(site, 'one')} or {site.folder}/etc/mfdata/plugins/one.ini instead" in message
    assert "hunter2" not in message
    assert not list(site.folder.glob("*.plugin"))


def test_the_declaration_says_what_is_secret_whatever_it_is_called(site: Site) -> None:
    folder = site.plugin("one", code=DECLARES)
    _say(folder, "[custom]", "pin = 1234", "max_tokens = 7")
    message = site.refuses("release", folder)
    assert "[custom] pin: a secret" in message
    assert "max_tokens" not in message


def test_a_secret_that_must_be_given_is_missing_in_a_release_and_asked_for_where_it_runs(site: Site) -> None:
    archive = site.release("one", code=DECLARES)
    assert "[custom] pin" in site.refuses("install", archive)
    _override(site, "one").write_text("[custom]\npin = 1234\n")
    site.does("install", archive)


def test_what_a_variable_gives_and_what_rules_are_called_is_no_secret(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTP_PASSWORD", PASSWORD)
    folder = site.plugin("one", code=GOOD)
    _say(folder, "[custom]", "passwd = {{FTP_PASSWORD}}", "[switch_rules:fnmatch:x]", "*password = main")
    site.does("release", "--to", site.folder, folder)
    assert PASSWORD.encode() not in _archive_text(next(site.folder.glob("*.plugin")))
