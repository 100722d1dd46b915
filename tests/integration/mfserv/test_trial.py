"""plugins.check finds of a service what keeps its workers from starting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.mfserv.serv import Serv

APP = "async def app(scope, receive, send):\n    pass\n"


@pytest.fixture
def stopped(tmp_path: Path) -> Serv:
    """A module that does not run."""
    serv = Serv(tmp_path)
    serv.configure()
    return serv


@pytest.fixture
def folder(stopped: Serv) -> Path:
    """A plugin, and nothing is wrong with it."""
    found = stopped.folder / "one"
    found.mkdir()
    (found / "main.py").write_text(APP)
    _write(found, "app = main:app")
    stopped.run("plugins.check", ".", folder=found)
    return found


def _write(folder: Path, line: str) -> None:
    (folder / "config.ini").write_text(f"[general]\nname = one\n[app_main]\n{line}\n")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nosuch\n" + APP, "No module named 'nosuch'"),
        ("raise ValueError('the model is missing')\n", "ValueError: the model is missing"),
        ("raise SystemExit(0)\n", '"main:app" cannot be imported'),
        ("application = 1\n", 'the module "main" has no "app"'),
        ("app = 1\n", "a int is no app"),
    ],
)
def test_an_app_that_no_worker_could_serve_is_found(stopped: Serv, folder: Path, code: str, said: str) -> None:
    (folder / "main.py").write_text(code)
    done = stopped.try_to("plugins.check", ".", folder=folder)
    assert done.returncode == 4
    assert f"{folder}/config.ini [app_main] app: " in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("nosuch_server {PORT}", 'there is no program "nosuch_server"'),
        ("./serve.sh", 'there is no program "./serve.sh"'),
        ("{PYTHON} serve.py {FD}", "serve.py"),
    ],
)
def test_a_command_that_cannot_be_started_is_found(stopped: Serv, folder: Path, command: str, said: str) -> None:
    (folder / "serve.sh").touch(mode=0o644)
    _write(folder, f"cmd = {command}")
    done = stopped.try_to("plugins.check", ".", folder=folder)
    assert done.returncode == 4
    assert f"{folder}/config.ini [app_main] cmd: " in done.stderr
    assert said in done.stderr


def test_variables_of_the_app_are_there_and_its_threads_hold_nobody_up(stopped: Serv, folder: Path) -> None:
    held = "import os, threading\nthreading.Thread(target=threading.Event().wait).start()\nos.environ['MODEL']\n"
    (folder / "main.py").write_text(held + APP)
    with (folder / "config.ini").open("a") as file:
        file.write("[environment]\nMODEL = arome\n")
    stopped.run("plugins.check", ".", folder=folder)
