from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfext.plugin.package_index import index_name, pip_settings, uv_options, uv_variables

#: What uv is given whatever is set.
ALWAYS = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}


def settings(folder: Path, **variables: str) -> dict[str, str]:
    """The settings of pip for a user whose home is *folder*."""
    given = {"HOME": str(folder), "XDG_CONFIG_DIRS": str(folder / "xdg"), **variables}
    found = pip_settings(given, folder / "prefix")
    return {key: value for key, value in found.items() if key in ("index-url", "no-index")}


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_last_file_of_pip_wins_and_a_variable_wins_over_all(tmp_path: Path) -> None:
    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://machine\n")
    assert settings(tmp_path)["index-url"] == "https://machine"
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex_url = https://user\n[install]\nno-index = yes\n")
    assert settings(tmp_path)["index-url"] == "https://user"
    write(tmp_path / "prefix/pip.conf", "[global]\nindex-url = https://environment\n")
    assert settings(tmp_path)["index-url"] == "https://environment"
    named = write(tmp_path / "named.conf", "[install]\nindex-url = https://named\n")
    assert settings(tmp_path, PIP_CONFIG_FILE=str(named))["index-url"] == "https://named"
    found = settings(tmp_path, PIP_CONFIG_FILE=str(named), PIP_INDEX_URL="https://variable")
    assert (found["index-url"], found["no-index"]) == ("https://variable", "yes")
    assert settings(tmp_path, PIP_CONFIG_FILE=os.devnull) == {}


def test_a_file_that_cannot_be_read_hinders_nothing(tmp_path: Path) -> None:
    write(tmp_path / ".config/pip/pip.conf", "index-url = before any section\n")
    assert "index-url" not in settings(tmp_path, PIP_CONFIG_FILE="/nowhere")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, {}),
        ({"index-url": "https://one/simple"}, {"UV_DEFAULT_INDEX": "https://one/simple"}),
        (
            {"extra-index-url": "https://two\nhttps://three"},
            {"UV_INDEX": "https://two https://three", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"find-links": "/one\n/two"}, {"UV_FIND_LINKS": "/one,/two"}),
        ({"trusted-host": "one two:8080"}, {"UV_INSECURE_HOST": "one two:8080"}),
        ({"cert": "/ca.pem", "client-cert": "/me.pem"}, {"SSL_CERT_FILE": "/ca.pem", "SSL_CLIENT_CERT": "/me.pem"}),
        ({"proxy": "http://proxy:3128"}, {"ALL_PROXY": "http://proxy:3128"}),
        ({"default-timeout": "180"}, {"UV_HTTP_TIMEOUT": "180"}),
        ({"retries": "0"}, {"UV_HTTP_RETRIES": "0"}),
        ({"no-cache-dir": "true", "pre": "1"}, {"UV_NO_CACHE": "1", "UV_PRERELEASE": "allow"}),
        ({"no-cache-dir": "false", "pre": "0"}, {}),
        ({"quiet": "1"}, {}),
    ],
)
def test_uv_is_told_what_pip_is_configured_for(known: dict[str, str], expected: dict[str, str]) -> None:
    assert uv_variables(known, {}) == {**ALWAYS, **expected}


def test_what_somebody_says_to_uv_itself_stays() -> None:
    known = {"index-url": "https://pip", "cert": "/pip.pem", "proxy": "http://pip"}
    mine = {"UV_INDEX_URL": "https://mine", "SSL_CERT_FILE": "/mine.pem", "HTTPS_PROXY": "http://mine"}
    assert uv_variables(known, mine) == ALWAYS


def test_constraints_count_only_where_versions_are_chosen() -> None:
    known = {"constraint": "/one.txt /two.txt", "no-index": "true"}
    assert uv_options(known) == ["--no-index"]
    assert uv_options(known, resolves=True) == ["--constraint", "/one.txt", "--constraint", "/two.txt", "--no-index"]


def test_which_kinds_of_packages_are_taken_is_said_by_options() -> None:
    assert uv_options({"only-binary": ":all:"}) == ["--only-binary", ":all:"]
    assert uv_options({"no-binary": "one,two three"}) == [
        "--no-binary",
        "one",
        "--no-binary",
        "two",
        "--no-binary",
        "three",
    ]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "https://pypi.org/simple"),
        (
            {"index-url": "https://me:secret@one/simple", "extra-index-url": "https://two"},
            "https://one/simple, https://two",
        ),
        ({"no-index": "1", "find-links": "/wheels"}, "/wheels"),
        ({"no-index": "1"}, "no index"),
    ],
)
def test_an_index_is_named_without_its_password(known: dict[str, str], expected: str) -> None:
    assert index_name(known) == expected
