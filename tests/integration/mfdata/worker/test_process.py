"""``python main.py``: a step tried by hand, as its author does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STEP = """
from mfdata import Done, File, Step


class Main(Step):
    def process(self, file: File) -> Done:
        self.log.info("file seen", name=file.basename)
        self.log.debug("looked at", size=file.size)
        return Done(to="other/main")


if __name__ == "__main__":
    Main.main()
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    (tmp_path / "config.ini").write_text("[general]\nname = tried\n[step_main]\n")
    (tmp_path / "main.py").write_text(STEP)
    (tmp_path / "some file").write_text("content")
    return tmp_path


def tried(plugin: Path, *arguments: str, process: str = "") -> subprocess.CompletedProcess[str]:
    own = {
        "METWORK_HOME": str(plugin / "homes"),
        "MFMODULE": "MFDATA",
        "METWORK_PROCESS": process,
        "TMPDIR": str(plugin),
    }
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=plugin,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_outcome_is_printed_and_what_the_step_logs_is_seen(plugin: Path) -> None:
    done = tried(plugin, "some file")
    assert (done.returncode, done.stdout) == (0, "outcome: done\nto: other/main\n")
    assert 'tried.main: file seen name="some file"' in done.stderr
    assert "tried.main: looked at size=7" in done.stderr
    assert (plugin / "some file").read_text() == "content"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "this step was not started by mfdata. Try it on a file: python main.py FILE\n"),
        (("nowhere",), "nowhere: there is no such file\n"),
        (("--help",), "usage: main.py FILE   runs the step once on a copy of FILE\n"),
    ],
)
def test_what_is_missing_is_said_in_a_line(plugin: Path, arguments: tuple[str, ...], said: str) -> None:
    done = tried(plugin, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_a_supervised_step_whose_configuration_is_wrong_ends_with_its_error_alone(plugin: Path) -> None:
    (plugin / "config.ini").write_text("[general]\nname = tried\n[step_main]\ntimeout = soon\n")
    done = tried(plugin, process="step.tried.main")
    assert done.returncode == 3
    assert done.stderr.startswith(f"{plugin}/config.ini:4 [step_main] timeout: ")
    assert "Traceback" not in done.stderr
