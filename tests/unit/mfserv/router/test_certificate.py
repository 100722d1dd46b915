from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mfext.errors import ConfigError
from mfext.testing import temporary_home
from mfserv.router.certificate import checked_certificate, in_force, problems, refresh, refusal_of, state
from mfserv.router.pem import pem_blocks, validity
from tests.certificates import both, certificate_pem, new_key, private_pem, put
from tests.unit.mfserv.apps import config

ONE, OTHER = new_key(), new_key()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "site.pem"


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA-2048"])
def test_a_good_certificate_is_taken(file: Path, kind: str) -> None:
    key = new_key(kind)
    assert refusal_of(put(file, certificate_pem(key) + private_pem(key))) == ""
    assert refusal_of(put(file, private_pem(key) + certificate_pem(key, end=20_000))) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (both(begin=-9, end=-1), "the certificate ended on {-1}, and now it is {0}"),
        (both(begin=1, end=9), "the certificate holds from {1}, and now it is {0}"),
        (certificate_pem(ONE) + private_pem(OTHER), "the private key is not that of the certificate"),
        (certificate_pem(ONE) + private_pem(new_key("RSA-2048")), "the private key is not that of the certificate"),
        (certificate_pem(ONE) + private_pem(ONE, b"word"), "the private key is encrypted"),
        (certificate_pem(ONE), "there is no private key in it"),
        (private_pem(ONE), "there is no certificate in it"),
        ("", "there is no certificate in it"),
        ("\u20ac", "is no PEM file"),
        (certificate_pem(ONE).replace("MII", "MIX", 1) + private_pem(ONE), "broken"),
        (certificate_pem(ONE)[:200] + "\n-----END CERTIFICATE-----\n" + private_pem(ONE), "broken"),
    ],
)
def test_a_bad_certificate_is_refused_by_file_and_date(file: Path, text: str, reason: str) -> None:
    now = datetime.now(UTC)
    for days in (-1, 0, 1):
        reason = reason.replace(f"{{{days}}}", f"{now + timedelta(days=days):%Y-%m-%d}")
    said = refusal_of(put(file, text))
    assert said.startswith(str(file))
    for part in reason.split(", and now it is "):
        assert part in said


def test_what_is_not_there_or_not_ours_to_read_is_told(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "none.pem") == f"{tmp_path}/none.pem cannot be read: No such file or directory"
    assert refusal_of(tmp_path) == f"{tmp_path} cannot be read: Is a directory"


def test_a_certificate_of_this_century_and_the_next_is_read() -> None:
    ((_, content),) = pem_blocks(certificate_pem(ONE, end=20_000))  # a GeneralizedTime, from 2050 on
    held = validity(content)
    assert held.end - held.begin == timedelta(days=20_001)


@pytest.mark.parametrize("rubbish", [b"", b"\x30", b"\x30\x82\xff", b"\x30\x03abc", bytes(range(256))])
def test_rubbish_is_no_certificate(rubbish: bytes) -> None:
    text = base64.b64encode(rubbish).decode()
    with pytest.raises(ValueError):  # whatever cryptography says of it
        validity(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")


def test_a_refusal_names_the_line_of_the_configuration(file: Path) -> None:
    put(file, both(begin=-9, end=-1))
    with pytest.raises(ConfigError, match=r"^config.ini:2 \[tls\] certificate: .*site.pem: the certificate ended on"):
        checked_certificate(config(tls={"certificate": str(file)}))


def test_what_is_in_force_stays_until_something_good_comes(tmp_path: Path, file: Path) -> None:
    home = temporary_home(tmp_path / "home", "mfserv")
    assert refresh(home, put(file, both(begin=-9, end=1))) == ""
    soon = datetime.now(UTC) + timedelta(days=2)
    assert state(home, str(file))["state"] == "ends soon"
    assert problems(state(home, str(file))) == []
    ended = state(home, str(file), soon)
    assert (ended["state"], ended["file"]) == ("has ended", str(file))
    assert problems(ended) == [f"the certificate in {file} ended on {ended['ends']}"]
    assert "is encrypted" in refresh(home, put(file, certificate_pem(ONE) + private_pem(ONE, b"word")))
    assert not in_force(home, file)
    refused = state(home, str(file))
    assert "; the new one is refused: " in refused["state"]
    assert refused["file"] == str(home.var / "router" / "certificate.pem")
    (problem,) = problems(refused)
    assert f"is refused, the router goes on with a former one: {file}: " in problem
    file.unlink()
    (problem,) = problems(state(home, str(file)))
    assert f"{file} cannot be read" in problem
    assert refresh(home, put(file, both(end=300))) == ""
    told = state(home, str(file))
    assert (told["state"], round(told["days_left"])) == ("good", 300)
    assert (home.var / "router" / "certificate.pem").stat().st_mode & 0o777 == 0o600


def test_where_no_copy_can_be_made_that_is_told(tmp_path: Path, file: Path) -> None:
    home = temporary_home(tmp_path / "home", "mfserv")
    (home.var / "router").write_text("in the way")
    assert "no copy of" in refresh(home, put(file, both()))
