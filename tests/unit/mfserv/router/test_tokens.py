from __future__ import annotations

from pathlib import Path

import pytest

from mfext.errors import MetworkError
from mfserv.router.pem import PublicKey, pem_blocks, public_key
from mfserv.router.tokens import issuers
from tests.certificates import certificate_pem, new_key, private_pem, public_pem
from tests.unit.mfserv.apps import config

SECRET = "a-secret-of-at-least-32-characters"
EC = new_key("P-256")


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("RSA-2048", PublicKey("RSA", bits=2048)),
        ("RSA-3072", PublicKey("RSA", bits=3072)),
        ("P-256", PublicKey("EC", curve="P-256")),
        ("P-384", PublicKey("EC", curve="P-384")),
        ("P-521", PublicKey("EC", curve="P-521")),
    ],
)
def test_the_kind_of_a_key_is_told(kind: str, found: PublicKey) -> None:
    ((_, content),) = pem_blocks(public_pem(new_key(kind)))
    assert public_key(content) == found


PSS = """-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBALyiv2me/7AFG6vTydN7fjaX
+Zd4LjOos2X32KjrZ+soZQYNqx5hScHwyAGmetk/z0s/+W0bhZVX8DPjtFQYvMmx
UlW38ssUXHHQp5vAg7my5ju6L/2xyAqT8EEP3T7TctLU92spc9Nduiu62jp5v+e0
12Kw+yCdLgL5ojJntWvY1X6A3Bu6d4lqle/MWJP7calEnCbbDRKM2Szjrtt9jVa+
RhNVSRguI2IkgvAsZNsD0CrxWXIwF59mjfhrA5fLHuyskm4ivuVFl0H/otCwVDqx
i+V4Tw3Le1bATaiqGr3BoJxPSTvV6rSQYmbv5oahI672BKnLgS8q/ewZ0Q30cO0C
AwEAAQ==
-----END PUBLIC KEY-----
"""


def test_a_key_that_signs_no_tokens_is_of_another_kind() -> None:
    ((_, text),) = pem_blocks(PSS)
    assert public_key(text) == PublicKey("")


def test_an_issuer_may_have_several_keys(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).write_text(public_pem(EC))
    keys = f"{tmp_path}/new, {tmp_path}/old"
    (one,) = issuers(config(jwt_one={"algorithm": "ES256", "public_keys": keys}))
    assert [*one.files] == ["jwt.one.0.pem", "jwt.one.1.pem"]
    assert one.files["jwt.one.1.pem"] == public_pem(EC)


def test_keys_may_have_the_names_that_tokens_call_them_by(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(public_pem(EC))
    keys = f"2027_a.b-c=:{tmp_path}/key, {tmp_path}/key"
    (one,) = issuers(config(jwt_one={"algorithm": "ES256", "public_keys": keys}))
    assert [key.kid for key in one.keys] == ["2027_a.b-c=", ""]
    assert one.kids == ("2027_a.b-c=",)
    with pytest.raises(MetworkError, match='two keys are called "x"'):
        issuers(config(jwt_one={"algorithm": "ES256", "public_keys": f"x:{tmp_path}/key, x:{tmp_path}/key"}))


@pytest.mark.parametrize(
    ("algorithm", "text", "fault"),
    [
        ("RS256", public_pem(EC), "its key is EC, not RSA"),
        ("ES256", public_pem(new_key("RSA-2048")), "its key is RSA, not EC"),
        ("ES384", public_pem(EC), "its curve is P-256, not P-384"),
        ("RS256", public_pem(new_key("RSA-1024")), "its key has 1024 bits, fewer than 2048"),
        ("ES256", private_pem(EC), "there is a private key in it"),
        ("ES256", certificate_pem(EC), "but a certificate: openssl x509 -pubkey"),
        ("ES256", '{"keys": []}', "it is JSON, such as a JWK Set"),
        ("ES256", "rubbish", "there is no public key in it"),
        ("ES256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no PEM file with a public key"),
        ("ES256", "\u20ac", "no PEM file with a public key"),
    ],
)
def test_a_key_that_is_not_right_is_refused_by_file_and_line(
    tmp_path: Path, algorithm: str, text: str, fault: str
) -> None:
    file = tmp_path / "key.pem"
    file.write_text(text)
    with pytest.raises(MetworkError) as raised:
        issuers(config(jwt_one={"algorithm": algorithm, "public_keys": str(file)}))
    assert raised.value.message.startswith(f"config.ini:2 [jwt_one] public_keys: {file}: ")
    assert fault in raised.value.message


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"algorithm": "HS256"}, "HS256 without secret"),
        ({"algorithm": "RS256"}, "RS256 without public_keys"),
        ({"algorithm": "ES256", "secret": SECRET}, "ES256 with secret"),
        ({"algorithm": "HS256", "secret": SECRET, "public_keys": "/none"}, "HS256 with public_keys"),
        ({"algorithm": "HS256", "secret": "short"}, "at least 32 letters"),
        ({"algorithm": "none", "secret": SECRET}, '"none" is not known'),
        ({"algorithm": "RS256", "public_keys": "/no/such/file"}, "/no/such/file: it cannot be read: No such file"),
        ({"algorithm": "RS256", "public_keys": '/a"b'}, "has not the right form"),
        ({"algorithm": "RS256", "public_keys": "a b:/key"}, "has not the right form"),
        ({"algorithm": "RS256", "public_keys": "https://issuer/keys"}, "a full path, or KID: and a full path"),
        ({"algorithm": "RS256", "public_keys": "key.pem"}, "has not the right form"),
    ],
)
def test_an_issuer_that_is_not_right_is_told(section: dict[str, str], fault: str) -> None:
    with pytest.raises(MetworkError) as raised:
        issuers(config(jwt_one=section))
    assert fault in str(raised.value)
    assert "config.ini:" in str(raised.value)
    assert "short" not in str(raised.value)


def test_a_secret_is_never_shown() -> None:
    (one,) = issuers(config(jwt_one={"algorithm": "HS256", "secret": SECRET}))
    assert one.files == {}
    rows = config(jwt_one={"algorithm": "HS256", "secret": SECRET}).rows()
    assert SECRET not in str([row.value for row in rows])
