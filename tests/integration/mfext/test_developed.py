"""A plugin with requirements while it is developed: its packages are in the home, and found wherever it runs."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from mfext.commands.cli import run
from mfext.testing import wait_until
from tests.integration.mfext.conftest import COMMANDS, GOOD, Site
from tests.integration.mfext.packages import index, make_wheel

USES = "import greetings\n" + GOOD
TEST = "import greetings\n\n\ndef test_it():\n    assert greetings.hello() == 'hello'\n"


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which program brings packages: uv where it is, pip elsewhere, such as where MetWork was installed as RPM."""
    if request.param == "pip":
        monkeypatch.setattr("mfext.plugin.python_requirements._uv", lambda: None)
    return str(request.param)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package *greetings* in two versions; nothing else is to be had."""
    folder = make_wheel(tmp_path / "wheels").parent
    make_wheel(folder, "2.0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def plugin(site: Site, requirements: str = "greetings<2\n", code: str = USES) -> Path:
    """A plugin *one* with *requirements* and a test."""
    folder = site.plugin("one", code=code)
    (folder / "requirements.txt").write_text(requirements)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_one.py").write_text(TEST)
    return folder


def tries(site: Site, folder: Path) -> None:
    """Run the tests of the plugin in *folder*, which pass."""
    with pytest.raises(SystemExit) as ended:
        site.says("test", folder)
    assert ended.value.code == 0


def environments(site: Site) -> list[str]:
    """The versions of *greetings* in the environments of the plugin *one*."""
    found = (site.home.var / "environments" / "one").glob("*/greetings.py")
    return sorted(path.read_text().partition("'")[2].partition("'")[0] for path in found)


@pytest.mark.usefixtures("wheels", "installer")
def test_what_a_linked_plugin_requires_is_installed_into_the_home_and_it_runs_with_it(running: Site) -> None:
    folder = plugin(running)
    before = {path.name for path in folder.iterdir()}
    missing = running.refuses("check", folder)
    assert f"{folder}/requirements.txt: its requirements are not installed" in missing
    assert "make develop" in missing
    status, out, err = running.says("develop", folder)
    assert status == 0, out + err
    assert f"INFO : Installing the requirements of one, as {folder}/requirements.txt names them\n" in err
    assert running.listed()["one"]["state"] == "running"
    assert environments(running) == ["1.5"]
    assert {path.name for path in folder.iterdir()} - before <= {"requirements.lock", "__pycache__"}
    running.does("check", folder)
    assert "Installing" not in running.says("develop", folder)[2]


@pytest.mark.usefixtures("wheels", "installer")
def test_tests_and_commands_of_a_plugin_that_is_not_linked_find_what_it_requires(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plugin(site)
    tries(site, folder)
    monkeypatch.chdir(folder)
    said = site.does("run", "python3", "-c", "import greetings; print(greetings.VERSION)")
    assert said == "1.5\n"
    (folder / "requirements.txt").write_text("greetings>=2\n")
    assert "its requirements have changed" in site.refuses("check", ".")
    assert site.does("run", "python3", "-c", "import greetings; print(greetings.VERSION)") == "2.0\n"


@pytest.mark.usefixtures("wheels")
def test_a_running_plugin_gets_its_new_requirements_when_they_are_saved(running: Site) -> None:
    folder = plugin(running)
    running.does("develop", folder)
    pids = running.pids("one")
    (folder / "requirements.txt").write_text("greetings>=2\n")
    wait_until(lambda: environments(running)[-1:] == ["2.0"], what="the new environment")
    wait_until(lambda: running.pids("one") and not running.pids("one") & pids, what="a process with it")
    running.does("develop", folder)
    assert environments(running) == ["2.0"]


@pytest.mark.usefixtures("wheels")
def test_new_requirements_that_cannot_be_had_leave_running_what_runs(running: Site) -> None:
    folder = plugin(running)
    running.does("develop", folder)
    (folder / "requirements.txt").write_text("greetings<2\nfarewells\n")
    status, out, err = running.says("develop", folder)
    assert status != 0, out
    assert f"{folder}/requirements.txt: its requirements cannot be had" in err
    assert "farewells" in err
    # Each change of a file applies what is there; only the first one waits for what cannot be had.
    for said in ("farewells", "its requirements have changed"):
        running.capfd.readouterr()
        assert run(["apply", "mfdata"]) != 0
        assert said in running.capfd.readouterr().err
    assert running.listed()["one"]["state"] == "running"
    assert environments(running) == ["1.5"]


@pytest.mark.usefixtures("wheels", "installer")
def test_an_index_that_does_not_answer_is_named_and_nothing_is_linked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with index(tmp_path / "wheels") as (address, _):
        pass  # it is gone
    monkeypatch.setenv("PIP_INDEX_URL", address)
    message = site.refuses("develop", plugin(site))
    assert f"They are looked for in {address}" in message
    assert site.listed() == {}
    assert environments(site) == []


@pytest.mark.usefixtures("wheels")
def test_the_doctor_names_requirements_that_are_not_installed(site: Site) -> None:
    folder = plugin(site)
    site.does("develop", folder)
    for text, said in (("greetings<2\n", "ok"), ("greetings>=2\n", "its requirements have changed")):
        (folder / "requirements.txt").write_text(text)
        site.capfd.readouterr()
        run(["doctor", "mfdata"])
        found = [line for line in site.capfd.readouterr().out.splitlines() if " requirements " in line]
        assert len(found) == 1
        assert said in found[0]


@pytest.mark.usefixtures("wheels")
def test_the_environment_goes_with_the_plugin(site: Site) -> None:
    site.does("develop", plugin(site))
    site.does("uninstall", "one")
    assert not (site.home.var / "environments" / "one").exists()


@pytest.mark.usefixtures("wheels")
def test_two_commands_at_once_make_one_environment(site: Site) -> None:
    folder = plugin(site)
    ended: list[subprocess.CompletedProcess[str]] = []

    def check() -> None:
        command = [str(COMMANDS / "metwork"), "plugins", "test", str(folder)]
        ended.append(subprocess.run(command, capture_output=True, text=True, check=False))

    threads = [threading.Thread(target=check) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.returncode, one.stderr) for one in ended if one.returncode] == []
    assert environments(site) == ["1.5"]
    left = {path.name for path in (site.home.var / "environments" / "one").iterdir() if path.name.startswith(".")}
    assert left == {".lock"}


@pytest.mark.usefixtures("wheels")
def test_a_plugin_whose_folder_cannot_be_written_is_tried_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plugin(site)
    write = Path.write_text

    def refuse(path: Path, *arguments: str, **options: str) -> int:
        if path.parent == folder:
            raise PermissionError(13, "Permission denied")
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    tries(site, folder)
    assert not (folder / "requirements.lock").exists()
    assert environments(site) == ["1.5"]


def test_a_file_of_requirements_that_names_none_needs_nothing(site: Site) -> None:
    folder = plugin(site, "# later\n\n", GOOD)
    site.does("check", folder)
    assert "Installing" not in site.says("develop", folder)[2]
    assert not (site.home.var / "environments").exists()


@pytest.mark.usefixtures("wheels")
def test_a_release_uses_what_it_brings_and_no_environment(site: Site, tmp_path: Path) -> None:
    folder = plugin(site)
    site.does("release", "--to", tmp_path, folder)
    site.does("install", next(tmp_path.glob("*.plugin")))
    site.does("check", "one")
    assert not (site.home.var / "environments").exists()
