"""``MODULE.logs`` as it is typed, in a home where nothing runs and a process of the test logs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mfext.environment import Home, child_variables
from mfext.fs.rotating_file import AppendFile
from mfext.log import json_line
from mfext.testing import wait_until
from tests.servers import hear_interrupts

METWORK = str(Path(sys.executable).parent / "metwork")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("mfdata", tmp_path / "mfdata")
    home.log.mkdir(parents=True)
    return home


def say(home: Home, process: str, text: str, level: str = "info") -> None:
    file = AppendFile(home.log / f"{process}.log", 2000, 3)
    file.write(json_line(time.time(), level, "a.logger", process, text, {}))
    file.close()


def told(home: Home, *options: str) -> subprocess.CompletedProcess[str]:
    command = [METWORK, "mfdata", "logs", *options]
    return subprocess.run(command, env=child_variables(home), text=True, capture_output=True, check=False)


@contextmanager
def following(home: Home, options: Sequence[str], output: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [METWORK, "mfdata", "logs", "-f", *options]
    with subprocess.Popen(
        command, env=child_variables(home), stdout=output, stderr=subprocess.PIPE, preexec_fn=hear_interrupts
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_lines_are_readable_without_colour_where_there_is_no_terminal(home: Home) -> None:
    say(home, "step.a.main", "it works")
    found = told(home, "a/main")
    assert (found.returncode, found.stderr) == (0, "")
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    step.a.main a.logger: it works\n", found.stdout)


def test_json_is_an_object_a_line(home: Home) -> None:
    say(home, "step.a.main", "it works")
    say(home, "observer", "it does not", "error")
    lines = [json.loads(line) for line in told(home, "--json", "--since", "1h").stdout.splitlines()]
    found = {line["process"]: (line["level"], line["text"]) for line in lines}
    assert found == {"step.a.main": ("info", "it works"), "observer": ("error", "it does not")}


@pytest.mark.parametrize(
    ("options", "message"),
    [(["step.a.mian"], 'Did you mean "step.a.main"?'), (["--since", "soon"], '"soon" is not a time')],
)
def test_what_is_not_understood_is_a_usage_error(home: Home, options: Sequence[str], message: str) -> None:
    say(home, "step.a.main", "it works")
    found = told(home, *options)
    assert (found.returncode, found.stdout) == (2, "")
    assert message in found.stderr


def test_lines_are_followed_over_rotations_until_ctrl_c(home: Home, tmp_path: Path) -> None:
    say(home, "observer", "line 0")
    texts = [f"line {number}" for number in range(60)]
    with (tmp_path / "told").open("wb") as output, following(home, ["--json"], output.fileno()) as process:
        wait_until(lambda: (tmp_path / "told").read_bytes())
        for text in texts[1:]:
            say(home, "observer", text)
        assert (home.log / "observer.log.2").exists()
        wait_until(lambda: b"line 59" in (tmp_path / "told").read_bytes())
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert [json.loads(line)["text"] for line in (tmp_path / "told").read_text().splitlines()] == texts


def test_who_follows_ends_when_nobody_reads_any_more(home: Home) -> None:
    say(home, "observer", "line")
    reading, writing = os.pipe()
    with following(home, [], writing) as process:
        os.close(writing)
        assert b"line" in os.read(reading, 1000)
        os.close(reading)
        assert process.wait() == 0
