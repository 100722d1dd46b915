"""Who may log in to a receiver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mfext.errors import ConfigError, Several
from mfext.net.users import User, Users, hashed, is_hash, is_password, read_users


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.touch(mode=0o600)
    return path


def test_a_hash_is_salted_and_tells_nothing() -> None:
    one, other = hashed("secret"), hashed("secret")
    assert one != other
    assert "secret" not in one
    assert ":" not in one
    assert is_password("secret", one)
    assert not is_password("Secret", one)


@pytest.mark.parametrize("text", ["", "secret", "scrypt", "scrypt$1$2$3$x$y", "md5$1$2$3$eA==$eA=="])
def test_what_is_no_hash(text: str) -> None:
    assert not is_hash(text)


def test_a_single_user_may_have_a_plain_password_or_a_hash() -> None:
    for secret in ("pässword", hashed("pässword")):
        users = Users([User("weather", secret)], None)
        known = users.known("weather", "pässword")
        assert known is not None
        assert known.name == "weather"
        assert users.known("weather", "password") is None
        assert users.known("weather", secret if is_hash(secret) else "") is None


def test_nobody_is_known_without_a_name() -> None:
    users = Users([User("weather", "secret")], None)
    assert users.known("", "") is None
    assert users.known("", "secret") is None
    assert users.known("Weather", "secret") is None


def test_a_second_login_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    users = Users([User("weather", "secret")], None)
    users.known("weather", "secret")
    # What takes its time is not asked again.
    monkeypatch.setattr("mfext.net.users.is_password", lambda *_: pytest.fail("hashed again"))
    for _ in range(20):
        assert users.known("weather", "secret")


def test_a_quick_login_needs_the_right_password() -> None:
    users = Users([User("weather", "secret")], None)
    assert users.known("weather", "secret")
    assert users.known("weather", "wrong") is None


def test_users_stand_in_a_file(file: Path) -> None:
    file.write_text(f"# comment\n\none:{hashed('1')}\nthe other:{hashed('2')}:elsewhere\n")
    users = read_users(file)
    assert list(users) == ["one", "the other"]
    assert (users["one"].directory, users["the other"].directory) == ("", "elsewhere")
    assert Users([], file).directories() == {"", "elsewhere"}


def test_a_changed_file_counts_at_once(file: Path) -> None:
    file.write_text(f"one:{hashed('1')}\n")
    users = Users([User("always", "secret")], file)
    assert users.known("one", "1")
    file.write_text(f"one:{hashed('new')}\n")
    os.utime(file, ns=(1, 1))
    users.refresh()
    assert users.known("one", "1") is None
    assert users.known("one", "new")
    assert users.known("always", "secret")


def test_a_file_that_is_broken_leaves_who_was_known(file: Path) -> None:
    file.write_text(f"one:{hashed('1')}\n")
    users = Users([], file)
    file.write_text("broken")
    with pytest.raises(ConfigError, match=":1: the password"):
        users.refresh()
    assert users.known("one", "1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one:plain\n", ':1: the password of "one" is not hashed'),
        ("one\n", ':1: the password of "one" is not hashed'),
        (":HASH\n", ":1: the line does not begin with a name"),
        (" one:HASH\n", ":1: the line does not begin with a name"),
        ("#\none:HASH\none:HASH\n", ':3: "one" stands in two lines'),
    ],
)
def test_a_bad_line_is_named(file: Path, text: str, said: str) -> None:
    file.write_text(text.replace("HASH", hashed("1")))
    with pytest.raises(ConfigError) as caught:
        read_users(file)
    assert said in caught.value.message
    assert "plain" not in caught.value.message


def test_all_bad_lines_are_named_at_once(file: Path) -> None:
    file.write_text("one:x\ntwo:y\n")
    with pytest.raises(Several):
        read_users(file)


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    file.write_text(f"one:{hashed('1')}\n")
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_users(file)


def test_the_command_prints_a_line(file: Path) -> None:
    command = [sys.executable, "-m", "mfdata.receivers.users", "weather", "elsewhere"]
    done = subprocess.run(command, input="secret\n", capture_output=True, text=True, check=True)
    file.write_text(done.stdout)
    users = Users([], file)
    known = users.known("weather", "secret")
    assert known is not None
    assert known.directory == "elsewhere"


@pytest.mark.parametrize("arguments", [[], ["a:b"], ["--help"], ["a", "b", "c"]])
def test_the_command_explains_itself(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "mfdata.receivers.users", *arguments]
    done = subprocess.run(command, input="secret\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage" in done.stderr
    assert done.stdout == ""
