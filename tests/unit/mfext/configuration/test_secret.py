from __future__ import annotations

import pytest

from mfext.configuration.secret import MASK, is_given_away, is_secret, masked


@pytest.mark.parametrize("key", ["passwd", "password", "ftp_pass", "SECRET", "auth_token", "api_key", "s3_access_key"])
def test_keys_called_like_a_secret_are_secret(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["machine", "user", "bypass_cache", "keys", "directory", "passive"])
def test_other_keys_are_not(key: str) -> None:
    assert not is_secret(key)


@pytest.mark.parametrize(
    ("text", "secret", "shown"),
    [
        ("hunter2", True, MASK),
        ("", True, ""),
        ("plain", False, "plain"),
        ("ftp://me:hunter2@host/x", False, f"ftp://me:{MASK}@host/x"),
        ("redis://:hunter2@host", False, f"redis://:{MASK}@host"),
        ("ftp://me:p@ss:wo@host/x", False, f"ftp://me:{MASK}@host/x"),
        ("http://host:80/a@b", False, "http://host:80/a@b"),
        ("me@host:/x", False, "me@host:/x"),
    ],
)
def test_a_secret_is_never_shown(text: str, secret: bool, shown: str) -> None:
    assert masked(text, secret) == shown


@pytest.mark.parametrize(
    ("text", "secret", "given_away"),
    [
        ("hunter2", True, True),
        ("hunter2", False, False),
        ("", True, False),
        ("{{FTP_PASSWORD}}", True, False),
        ("ftp://me:hunter2@host", False, True),
        ("ftp://{{USER}}:hunter2@host", False, True),
        ("ftp://me:{{FTP_PASSWORD}}@host", True, False),
    ],
)
def test_a_variable_keeps_a_secret_out_of_its_file(text: str, secret: bool, given_away: bool) -> None:
    assert is_given_away(text, secret) is given_away
