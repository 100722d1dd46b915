"""mfdata.users prints a line for the file of users, in each of its forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mfext.net.users import Users

_BESIDE = Path(sys.executable).parent
FORMS = (
    [str(_BESIDE / "mfdata.users")],
    [str(_BESIDE / "metwork"), "mfdata", "users"],
    [sys.executable, "-m", "mfdata.receivers.users"],
)


def users_of(tmp_path: Path, line: str) -> Users:
    file = tmp_path / "users"
    file.touch(mode=0o600)
    file.write_text(line)
    return Users([], file)


@pytest.mark.parametrize("form", FORMS, ids=["dotted", "spaced", "module"])
def test_it_prints_a_line(tmp_path: Path, form: list[str]) -> None:
    done = subprocess.run([*form, "weather", "elsewhere"], input="secret\n", capture_output=True, text=True, check=True)
    known = users_of(tmp_path, done.stdout).known("weather", "secret")
    assert known is not None
    assert known.directory == "elsewhere"


@pytest.mark.parametrize("form", FORMS, ids=["dotted", "spaced", "module"])
def test_a_token_is_shown_once(tmp_path: Path, form: list[str]) -> None:
    done = subprocess.run([*form, "--token", "weather"], capture_output=True, text=True, check=True)
    token = done.stderr.rpartition("token, shown this once: ")[2].strip()
    known = users_of(tmp_path, done.stdout).with_token(token)
    assert known is not None
    assert known.name == "weather"


def test_json_has_all_of_it(tmp_path: Path) -> None:
    done = subprocess.run([*FORMS[0], "--json", "--token", "weather"], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["line"] == f"weather:{facts['hash']}"
    assert users_of(tmp_path, facts["line"]).with_token(facts["token"])
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["a:b"], ["#a"], [" a"], ["a\nb"], ["a", "b:c"], ["a", "b", "c"]])
def test_what_cannot_be_a_line_is_refused(arguments: list[str]) -> None:
    done = subprocess.run([*FORMS[0], *arguments], input="secret\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_an_empty_password_is_refused() -> None:
    done = subprocess.run([*FORMS[0], "weather"], input="\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the password is empty" in done.stderr
