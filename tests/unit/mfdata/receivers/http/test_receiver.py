"""What the HTTP receiver decides without a client."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mfdata.receivers.http.access import Gate
from mfdata.receivers.http.body import announced_name
from mfdata.receivers.http.checksum import Checksums
from mfdata.receivers.http.refusal import Refusal, refusal_for
from mfdata.receivers.upload import TooLarge
from mfext.net.users import User, Users, hashed_token, is_hash, is_password


@pytest.mark.parametrize(
    ("error", "status", "comes_again"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 507, True),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), 507, True),
        (TooLarge(errno.EFBIG, "larger than 3 bytes"), 413, False),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), 500, False),
    ],
)
def test_a_file_that_cannot_be_kept_is_refused_by_its_fault(error: OSError, status: int, comes_again: bool) -> None:
    refusal = refusal_for(error)
    assert (refusal.status, "Retry-After" in refusal.headers) == (status, comes_again)


@pytest.mark.parametrize(
    ("path", "plain", "disposition", "name"),
    [
        ("/in%20url", "plain", "", b"in url"),
        ("/", "pl%C3%A9in", 'attachment; filename="other"', b"pl\xc3\xa9in"),
        ("/", "", 'attachment; filename="a \\"b\\".txt"', b'a "b".txt'),
        ("/", "", "attachment", b""),
        ("//x", "", "", b"/x"),
    ],
)
def test_the_name_in_the_url_comes_first(path: str, plain: str, disposition: str, name: bytes) -> None:
    assert announced_name(path, [plain, disposition]) == name


@pytest.mark.parametrize("value", ["sha-256=:YQ==:", "sha-256=YQ==", "sha-256", "sha-256=:not base64:", "=:YQ==:"])
def test_what_is_no_checksum_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="Content-Digest"):
        Checksums({"Content-Digest": value})


def test_kinds_of_checksums_that_are_not_known_are_passed_over() -> None:
    checksums = Checksums({"Repr-Digest": "crc32c=:YQ==:;q=1"})
    checksums.update(b"content")
    assert checksums.fault == ""


def test_each_user_has_his_own_files_a_minute() -> None:
    one, other = User("one", hashed_token("1")), User("other", hashed_token("2"))
    gate = Gate(Users([one, other], None), per_minute=2)
    gate.admit(one, 0.0)
    gate.admit(one, 0.0)
    gate.admit(other, 0.0)
    with pytest.raises(Refusal) as caught:
        gate.admit(one, 10.0)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "20")
    gate.admit(one, 30.0)
    gate.close()


def test_a_token_is_a_password_and_is_not_written_down(tmp_path: Path) -> None:
    secret = hashed_token("the token")
    assert is_hash(secret)
    assert is_password("the token", secret)
    assert not is_password("another", secret)
    users = Users([User("one", secret)], None)
    assert users.with_token("the token") == User("one", secret)
    assert users.with_token(secret) is None
    assert users.known("one", "the token") == User("one", secret)
    assert not is_hash("sha256$short")
