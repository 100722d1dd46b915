"""The commands on plugins, on a real home, with the module stopped and running."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mfext.commands.cli import run
from mfext.environment import Home, home_of
from mfext.testing import wait_until

COMMANDS = Path(sys.executable).parent

#: A step that takes nothing, and one that cannot be imported.
GOOD = "from mfdata import Step\n\nif __name__ == '__main__':\n    Step.main()\n"
BAD = "raise RuntimeError('no such instrument')\n"

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home of mfdata; whatever a test starts in it is stopped."""
    monkeypatch.setenv("METWORK_HOME", str(tmp_path / "homes"))
    monkeypatch.setenv("METWORK_CONFIG_D", str(tmp_path / "etc"))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    monkeypatch.setenv("MFDATA_SUPERVISOR_START_TIMEOUT", "200")
    monkeypatch.setenv("PATH", f"{COMMANDS}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    yield home_of("mfdata")
    run(["mfdata", "stop"])


@pytest.fixture
def running(home: Home) -> Home:
    """A home in which mfdata runs."""
    assert run(["mfdata", "start"]) == 0
    return home


@pytest.fixture
def said(home: Home, capfd: pytest.CaptureFixture[str]) -> Said:
    """Runs ``metwork plugins ARGUMENTS``: exit status, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run(["plugins", *arguments])
        return (status, *capfd.readouterr())

    return call


def _plugin(folder: Path, more: str = "[step_main]\n", code: str = GOOD, name: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.ini").write_text(f"[general]\nname = {name or folder.name}\n{more}")
    (folder / "main.py").write_text(code)
    return folder


def _listed(said: Said) -> dict[str, dict[str, Any]]:
    status, out, _ = said("list", "--json")
    assert status == 0
    return {one["name"]: one for one in json.loads(out)}


def _pids(home: Home, process: str) -> set[str]:
    return {path.name for path in (home.run / "ready" / process).iterdir()}


# -- making one


def test_on_a_terminal_it_asks_and_takes_the_defaults(home: Home, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [str(COMMANDS / "bootstrap_plugin.py"), "create", "--template=archive", "--set", "vendor=us", "mine"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True)
    os.close(slave)
    asked = _answered(master, {"switch_logical_condition": "True", "dest_dir": "kept"})
    assert process.wait(timeout=60) == 0, asked
    # What it does comes first; what an archive says of itself has defaults.
    assert asked.index("switch_logical_condition") < asked.index("dest_dir") < asked.index("dest_basename")
    assert not any(key in asked for key in ("vendor", "version", "license", "maintainer"))
    text = (tmp_path / "mine/config.ini").read_text()
    assert "\nswitch_logical_condition = True\n" in text
    assert "\nvendor = us\n" in text
    assert "\ndest_dir = kept\n" in text
    assert "\n# license = " in text


def test_new_keys_of_a_class_come_into_config_ini(home: Home, tmp_path: Path, said: Said) -> None:
    assert said("create", "--no-input", "one")[0] == 0
    file = tmp_path / "one" / "config.ini"
    before = file.read_text()
    declares = """
from dataclasses import dataclass
from mfdata import Step
from mfext.option import option
from mfext.section import Section

class Mine(Step):
    @dataclass(frozen=True)
    class Custom(Section):
        colour: str = option("red", help="Which colour.")

Mine.main() if __name__ == "__main__" else None
"""
    (tmp_path / "one" / "main.py").write_text(declares)
    assert run(["config", "template", "one"]) == 0
    assert file.read_text() == f"{before.rstrip()}\n\n# Which colour.\n# colour = red\n"
    assert run(["config", "template", "one"]) == 0
    assert file.read_text().count("colour = red") == 1


def _answered(master: int, answers: dict[str, str]) -> str:
    """All that was written to a terminal whose questions get *answers* by a word in them, or an empty line."""
    seen, end = "", time.monotonic() + 60
    left, question = dict(answers), ""
    while time.monotonic() < end:
        if not select.select([master], [], [], 60)[0]:
            break
        try:
            text = os.read(master, 1000).decode()
        except OSError:
            break  # the other end is closed
        seen, question = seen + text, question + text
        if question.endswith(": "):
            word = next((word for word in left if word in question), "")
            os.write(master, f"{left.pop(word, '')}\n".encode())
            question = ""
    os.close(master)
    return seen


def test_it_never_asks_with_no_input_or_without_a_terminal(home: Home, tmp_path: Path) -> None:
    for name, more in (("one", ["--no-input"]), ("two", [])):
        command = [str(COMMANDS / "bootstrap_plugin.py"), "create", *more, name]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"INFO : The plugin {name} is correctly created with the template default\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["config"], 2, '"config" cannot be the name of a plugin'),
        (["a/b", "--set=name=x"], 2, "cannot be the name of a plugin"),
        ([], 2, "the name of the plugin is missing"),
        (["--template=archiv", "x"], 2, 'no template "archiv". Did you mean "archive"?'),
        (["--set", "numproceses=2", "x"], 2, 'no key "numproceses". Did you mean "numprocesses"?'),
        (["--set", "numprocesses=-1", "x"], 3, "step_main.numprocesses: -1 is too small"),
        (["there"], 6, "there: this exists already"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    said: Said, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    (tmp_path / "there").mkdir()
    before = set(tmp_path.iterdir())
    got = said("create", "--no-input", *arguments)
    assert (got[0], got[1]) == (status, "")
    assert message in got[2]
    assert set(tmp_path.iterdir()) == before


# -- in a module that does not run


def test_a_plugin_is_linked_while_the_module_does_not_run(home: Home, said: Said, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "one")
    for _ in range(2):
        assert said("develop", str(folder)) == (
            0, 'INFO : The plugin one is dev-linked; it will run after "mfdata.start"\n', "",
        )  # fmt: skip
    assert (home.plugins / "one").readlink() == folder
    status, out, _ = said("list")
    assert status == 0
    assert out.startswith("Installed plugins:\n\n| NAME ")
    assert "| one    | dev_link" in out
    assert out.endswith("\n\nTotal: 2 plugin(s)\n")
    assert _listed(said)["one"]["state"] == "stopped"


def test_make_develop_does_it_in_the_folder_of_the_plugin(home: Home, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "one")
    (folder / "Makefile").write_text("include $(shell metwork plugins makefile)\n")
    done = subprocess.run(["make", "develop"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "_plugins.develop ."), done.stderr
    assert (home.plugins / "one").readlink() == folder


def test_the_link_follows_the_name_of_the_plugin(home: Home, said: Said, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "folder", name="old")
    said("develop", str(folder))
    (folder / "config.ini").write_text("[general]\nname = new\n[step_main]\n")
    assert said("develop", str(folder))[0] == 0
    assert [link.name for link in home.plugins.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ("[step_main]\nnumproceses = 1\n", 3, 'config.ini:4 [step_main] numproceses: unknown key. Did you mean "num'),
        ("[step_main]\nnumprocesses = x\n", 3, 'config.ini:4 [step_main] numprocesses: "x" is not a whole number'),
        ("", 4, "config.ini: the plugin has nothing that runs; expected a section [step_NAME]"),
        ("[step_main]\nswitch_logical_condition = x[\n", 3, "config.ini:4"),
        ("[step_main]\n[switch_rules:equal:a]\nb = nobody/main\n", 3, "nobody/main"),
    ],
)
def test_a_plugin_that_is_not_right_is_neither_correct_nor_linked(
    home: Home, said: Said, tmp_path: Path, more: str, status: int, message: str
) -> None:
    folder = _plugin(tmp_path / "one", more)
    for command in ("check", "develop"):
        got = said(command, str(folder))
        assert (got[0], got[1]) == (status, "")
        assert message in got[2]
    assert not (home.plugins / "one").is_symlink()


def test_a_key_that_the_step_does_not_declare_is_found_before_it_runs(said: Said, tmp_path: Path) -> None:
    code = "from mfdata.steps.archive import Archive\n\nif __name__ == '__main__':\n    Archive.main()\n"
    folder = _plugin(tmp_path / "one", "[step_main]\n[custom]\ndest_dri = x\n", code)
    for command in ("check", "develop"):
        status, _, message = said(command, str(folder))
        assert status == 3
        assert f'{folder}/config.ini:5 [custom] dest_dri: unknown key. Did you mean "dest_dir"?' in message


@pytest.mark.parametrize(
    "words", [["modules"], ["components"], ["plugins", "list"], ["plugins", "info", "switch"], ["mfserv", "jobs"]]
)
def test_every_table_fits_a_terminal_and_has_a_wide_form(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(words) == 0
    lines = capfd.readouterr().out.splitlines()
    grid = [line for line in lines if line.startswith("|")]
    assert grid
    assert max(map(len, grid)) <= 80
    assert run([*words, "-o", "wide"]) == 0
    wide = [line for line in capfd.readouterr().out.splitlines() if line.startswith("|")]
    assert (lines[-1] == "-o wide shows all") == (max(map(len, wide)) > 80)
    assert run([*words, "-o", "json"]) == 0
    json.loads(capfd.readouterr().out)


def test_config_show_has_the_keys_of_the_step_that_no_file_sets(
    home: Home, said: Said, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    custom = (
        "from dataclasses import dataclass\nfrom mfdata import Step\n"
        "from mfext.option import option\nfrom mfext.section import Section\n\n"
        "class One(Step):\n    @dataclass(frozen=True)\n    class Custom(Section):\n"
        "        speed: int = option(5, help='How fast.')\n        far: int = option(6, help='How far.')\n"
        "        place: str = option(help='Where.')\n        token: str = option('x', help='Who.', secret=True)\n"
        "\nif __name__ == '__main__':\n    One.main()\n"
    )
    folder = _plugin(tmp_path / "one", "[custom]\nplace = here\nfar = 7\n[step_main]\n", custom)
    bad = _plugin(tmp_path / "bad", code=f"from mfdata import Step\n{BAD}Step.main()\n")
    for one in (folder, bad):
        said("develop", str(one))
    capfd.readouterr()
    assert run(["config", "show", "--json"]) == 0
    out, err = capfd.readouterr()
    rows = [row for row in json.loads(out) if (row["plugin"], row["section"]) == ("one", "custom")]
    origin = f"{folder}/config.ini"
    assert {row["key"]: (row["value"], row["origin"].rpartition(":")[0] or row["origin"]) for row in rows} == {
        "place": ("here", origin),
        "far": ("7", origin),
        "speed": ("5", "default"),
        "token": ("********", "default"),
    }
    assert "the defaults of [custom] of bad are not known: " in err
    assert run(["config", "show"]) == 0
    assert "[custom]\nplace = here" in capfd.readouterr().out
    assert run(["config", "show", "--changed"]) == 0
    out, err = capfd.readouterr()
    assert ("speed" in out, err) == (False, "")


def test_code_that_cannot_be_imported_is_not_correct(said: Said, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "one", code=f"from mfdata import Step\n{BAD}Step.main()\n")
    status, _, message = said("check", str(folder))
    assert status == 4
    assert message == "one/main.py:2: RuntimeError: no such instrument (cannot be imported)\n"


def test_a_folder_without_config_ini_is_no_plugin(said: Said, tmp_path: Path) -> None:
    for command in ("check", "develop", "info"):
        status, _, message = said(command, f"{tmp_path}/")
        assert (status, "this is not a plugin: it has no config.ini" in message) == (4, True)


def test_two_plugins_with_one_name_are_refused_naming_both(home: Home, said: Said, tmp_path: Path) -> None:
    first, second = _plugin(tmp_path / "a/one"), _plugin(tmp_path / "b/one")
    said("develop", str(first))
    status, _, message = said("develop", str(second))
    assert status == 4
    assert f"{first} and {second}" in message
    assert (home.plugins / "one").readlink() == first
    assert said("develop", str(_plugin(tmp_path / "switch")))[0] == 4


def test_a_folder_that_was_moved_is_linked_again(home: Home, said: Said, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "one")
    said("develop", str(folder))
    moved = folder.rename(tmp_path / "moved")
    assert "one is broken" in said("list")[1]
    assert said("develop", str(moved))[0] == 0
    assert (home.plugins / "one").readlink() == moved


def test_a_broken_plugin_is_listed_with_its_error_and_hides_no_other(said: Said, tmp_path: Path) -> None:
    for name in ("one", "two"):
        said("develop", str(_plugin(tmp_path / name)))
    (tmp_path / "one/config.ini").write_text("[general]\nname = one\n[step_main]\nnumprocesses = x\n")
    listed = _listed(said)
    assert set(listed) == {"one", "two", "switch"}
    assert (listed["one"]["state"], listed["two"]["error"]) == ("broken", None)
    assert f"{tmp_path}/one/config.ini:4" in listed["one"]["error"]
    status, out, _ = said("list")
    assert status == 0
    assert "Total: 3 plugin(s)\n\none is broken: " in out
    assert said("info", "one")[0] == 3


def test_info_tells_the_configuration_in_force_and_where_it_comes_from(home: Home, said: Said, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "one", "summary = s\n[step_main]\n")
    said("develop", str(folder))
    (home.config / "plugins/one.ini").write_text("[step_main]\nnumprocesses = 2\n")
    status, out, _ = said("info", "--json", "one")
    facts = json.loads(out)
    assert status == 0
    assert (facts["name"], facts["summary"], facts["dev_link"], facts["home"]) == ("one", "s", True, str(folder))
    assert facts["config"]["step_main"]["numprocesses"] == {
        "value": "2",
        "origin": f"{home.config}/plugins/one.ini:2",
    }
    assert facts["files"] == ["config.ini", "main.py"]
    assert json.loads(said("info", "--json", str(folder))[1]) == facts
    assert "| numprocesses | 2" in said("info", "one")[1]


def test_uninstalling_a_dev_link_leaves_the_files_of_the_developer(home: Home, said: Said, tmp_path: Path) -> None:
    folder = _plugin(tmp_path / "one")
    said("develop", str(folder))
    assert said("uninstall", "one") == (0, "INFO : The plugin one is uninstalled\n", "")
    assert not (home.plugins / "one").is_symlink()
    assert (folder / "config.ini").is_file()
    status, _, message = said("uninstall", "one")
    assert (status, message) == (2, 'the plugin "one" is not installed. Known: switch.\n')


def test_a_plugin_and_a_template_of_another_module_are_called_so(
    home: Home, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _plugin(tmp_path / "one")
    said("develop", str(folder))
    monkeypatch.setenv("MFMODULE", "MFSERV")
    # A name without a "/" in a folder that has such a folder would be that one.
    monkeypatch.chdir(home.path)
    for command in ("info", "check", "uninstall"):
        assert said(command, "one") == (
            2,
            "",
            'the plugin "one" is not installed. It is a plugin of mfdata: "metwork shell mfdata".\n',
        )
    assert said("check", str(folder))[0] == 4
    assert "this is a plugin of mfdata; expected one of mfserv" in said("develop", str(folder))[2]
    status, _, message = said("create", "--template=ftpsend", "two")
    assert (status, message) == (2, 'mfserv has no template "ftpsend". mfdata has one: "metwork shell mfdata".\n')


def test_an_installed_folder_is_removed(home: Home, said: Said) -> None:
    home.plugins.mkdir(parents=True)
    _plugin(home.plugins / "one")
    assert said("uninstall", "one")[0] == 0
    assert list(home.plugins.iterdir()) == []


def test_a_broken_plugin_can_be_uninstalled(home: Home, said: Said, tmp_path: Path) -> None:
    said("develop", str(_plugin(tmp_path / "one")))
    (tmp_path / "one/config.ini").unlink()
    assert said("uninstall", "one")[0] == 0
    assert list(home.plugins.iterdir()) == []


def test_a_built_in_plugin_is_not_uninstalled(said: Said) -> None:
    status, _, message = said("uninstall", "switch")
    assert (status, "is built in" in message) == (2, True)


def test_a_plugin_that_another_one_needs_is_not_uninstalled(home: Home, said: Said, tmp_path: Path) -> None:
    said("develop", str(_plugin(tmp_path / "one")))
    said("develop", str(_plugin(tmp_path / "two", "[step_main]\n[switch_rules:equal:a]\nb = one/main\n")))
    status, _, message = said("uninstall", "one")
    assert (status, "one/main" in message) == (3, True)
    assert (home.plugins / "one").is_symlink()


def test_a_plugin_for_which_files_wait_is_not_uninstalled_without_saying_where_they_go(
    home: Home, said: Said, tmp_path: Path
) -> None:
    said("develop", str(_plugin(tmp_path / "one")))
    queue = home.var / "in/step.one.main"
    queue.mkdir()
    (queue / "5-0000000000000000-0-some").write_text("some text\n")
    status, _, message = said("uninstall", "one")
    assert (status, "files wait for this plugin: 1 for one/main" in message) == (6, True)
    assert (home.plugins / "one").is_symlink()
    assert said("uninstall", "--quarantine", "one")[0] == 0
    assert not any(path.is_file() for path in queue.glob("*"))


# -- in a module that runs


def test_develop_returns_once_the_steps_run_and_disturbs_no_other(running: Home, said: Said, tmp_path: Path) -> None:
    assert said("develop", str(_plugin(tmp_path / "one"))) == (0, "INFO : The plugin one is dev-linked and runs\n", "")
    before = _pids(running, "step.one.main"), _pids(running, "step.switch.main")
    assert _listed(said)["one"]["state"] == "running"
    assert said("develop", str(tmp_path / "one"))[0] == 0
    assert said("develop", str(_plugin(tmp_path / "two")))[0] == 0
    assert (_pids(running, "step.one.main"), _pids(running, "step.switch.main")) == before
    assert said("uninstall", "two")[0] == 0
    assert (_pids(running, "step.one.main"), _pids(running, "step.switch.main")) == before
    assert not (running.run / "ready/step.two.main").exists() or not _pids(running, "step.two.main")


def test_a_plugin_that_does_not_start_stays_linked_and_runs_once_it_is_mended(
    running: Home, said: Said, tmp_path: Path
) -> None:
    folder = _plugin(tmp_path / "one", code=BAD)
    status, _, message = said("develop", str(folder))
    assert status == 5
    assert "step.one.main" in message
    assert "no such instrument" in message
    assert "stays dev-linked" in message
    assert (running.plugins / "one").readlink() == folder
    assert _listed(said)["one"]["state"] == "failing"
    (folder / "main.py").write_text(GOOD)
    wait_until(lambda: _listed(said)["one"]["state"] == "running", what="the mended plugin to run")


@pytest.mark.parametrize(
    ("file", "faulty", "fault"),
    [
        ("config.ini", "[step_main]\n[custom]\ndest_dri = x\n", 'dest_dri: unknown key. Did you mean "dest_dir"?'),
        ("main.py", f"from mfdata.steps.archive import Archive\n{BAD}Archive.main()\n", "no such instrument"),
    ],
    ids=["a key", "code"],
)
def test_what_a_developer_saves_and_its_code_refuses_leaves_running_what_runs(
    running: Home, said: Said, tmp_path: Path, capfd: pytest.CaptureFixture[str], file: str, faulty: str, fault: str
) -> None:
    code = "from mfdata.steps.archive import Archive\n\nif __name__ == '__main__':\n    Archive.main()\n"
    folder = _plugin(tmp_path / "one", "[step_main]\n[custom]\ndest_dir = x\n", code)
    assert said("develop", str(folder))[0] == 0
    before, good = _pids(running, "step.one.main"), (folder / file).read_text()

    def problems() -> str:
        capfd.readouterr()
        run(["mfdata", "status", "--json"])
        return "\n".join(json.loads(capfd.readouterr().out)["problems"])

    (folder / file).write_text((good.partition("[step_main]")[0] if file == "config.ini" else "") + faulty)
    wait_until(lambda: fault in problems(), what="the fault in status")
    assert _pids(running, "step.one.main") == before
    assert "plugin one:" in problems()
    (folder / file).write_text(good + "\n")
    wait_until(lambda: _pids(running, "step.one.main") not in (set(), before), what="the mended plugin to run")
    wait_until(lambda: not problems(), what="all is well")
