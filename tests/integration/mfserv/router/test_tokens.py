"""Bearer tokens, as a well-kept library signs them, and as somebody who wants in forges them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from mfext.testing import wait_until
from tests.certificates import new_key, private_pem, public_pem, put
from tests.integration.mfserv.router.test_access import ECHO
from tests.integration.mfserv.serv import Serv
from tests.integration.mfserv.workers.test_registration import write

RSA, OLD, CURVE, STRANGE = new_key("RSA-2048"), new_key("RSA-2048"), new_key("P-256"), new_key("RSA-2048")
NEXT, LAST = new_key("P-384"), new_key("P-384")
NAMED, UNNAMED = new_key("P-521"), new_key("P-521")
SECRET = "a-secret-of-at-least-32-characters"
CONFIG = """
[jwt_rsa]
algorithm = RS256
public_keys = {folder}/new.pem, {folder}/old.pem
issuer = https://rsa.example
audience = data
[jwt_curve]
algorithm = ES256
public_keys = {folder}/curve.pem
issuer = https://curve.example
[jwt_shared]
algorithm = HS256
secret = {secret}
issuer = https://shared.example
[jwt_rotated]
algorithm = ES384
public_keys = 2027:{folder}/next.pem, 2026:{folder}/last.pem
issuer = https://rotated.example
[jwt_mixed]
algorithm = ES512
public_keys = 2027:{folder}/named.pem, {folder}/unnamed.pem
issuer = https://mixed.example
[client_two]
subjects = alice
issuer = rsa
class = batch
"""
CLAIMS = {
    "RS256": {"iss": "https://rsa.example", "aud": "data"},
    "ES256": {"iss": "https://curve.example"},
    "HS256": {"iss": "https://shared.example"},
    "ES384": {"iss": "https://rotated.example"},
    "ES512": {"iss": "https://mixed.example"},
}
#: What is no time, and what is no subject.
NO_TIMES = (-1, 0, -5.5, "-5", "9999999999", "9999999999x", "x", "", None, True, [9], {"a": 1}, 1e300, 2e20)
NOBODY = (
    "alice\n",
    "\nalice",
    "alice\u0000",
    "alice bob",
    "ali\rce",
    "",
    "a" * 101,
    5,
    True,
    None,
    ["alice"],
    "\u00e9",
)
#: What a token says twice, first and later.
TWICE = (("exp", '"9999999999"', "5"), ("exp", "-1", "9999999999"), ("nbf", '"5"', "5"), ("sub", "5", '"alice"'))
KEYS = {"RS256": private_pem(RSA), "ES256": private_pem(CURVE), "HS256": SECRET}


@pytest.fixture(scope="module")
def serv(new_serv: Callable[[str], Serv]) -> Serv:
    serv = new_serv("")
    rotated = {"next": NEXT, "last": LAST, "named": NAMED, "unnamed": UNNAMED}
    for name, key in {"new": RSA, "old": OLD, "curve": CURVE, **rotated}.items():
        put(serv.folder / f"{name}.pem", public_pem(key))
    serv.configure(CONFIG.format(folder=serv.folder, secret=SECRET))
    for name, auth in (("inner", "required"), ("open", "none")):
        made = write(serv, name, auth=auth)
        (made / "main.py").write_text(ECHO)
        (serv.home.plugins / name).symlink_to(made)
    serv.run("metwork", "apply", "mfserv")
    wait_until(lambda: status(serv, token("RS256")) == 200, what="the app")
    return serv


def token(algorithm: str, key: str | None = None, drop: str = "", **claims: Any) -> str:
    """A token that is good but for what *claims* say."""
    whole = {"sub": "alice", "exp": int(time.time()) + 86_400, **CLAIMS[algorithm], **claims}
    whole.pop(drop, None)
    return jwt.PyJWS().encode(json.dumps(whole).encode(), key or KEYS[algorithm], algorithm)


def called(kid: str, algorithm: str, key: Any) -> str:
    """A token that says by which key it is signed."""
    whole = {"sub": "alice", "exp": int(time.time()) + 86_400, **CLAIMS[algorithm]}
    return jwt.encode(whole, private_pem(key), algorithm, {"kid": kid})


def signed(claims: dict[str, Any]) -> str:
    """A token with these claims in this order, genuine and not too old."""
    return jwt.encode(
        {**claims, "iss": "https://rsa.example", "exp": int(time.time()) + 86_400}, KEYS["RS256"], "RS256"
    )


def token_about(subject: object) -> str:
    """A token about somebody who cannot be."""
    whole = {"exp": int(time.time()) + 86_400, **CLAIMS["RS256"], "sub": subject}
    return jwt.PyJWS().encode(json.dumps(whole).encode(), KEYS["RS256"], "RS256")


def twice(name: str, first: str, later: str) -> str:
    """A token that says something twice."""
    whole = {"sub": "alice", "exp": int(time.time()) + 86_400, **CLAIMS["RS256"]}
    whole.pop(name, None)
    text = json.dumps(whole).replace("{", f'{{"{name}": {first}, "{name}" : {later}, ', 1)
    return jwt.PyJWS().encode(text.encode(), KEYS["RS256"], "RS256")


def critical() -> str:
    """A token that says that something of it must be understood."""
    whole = {"sub": "alice", "exp": int(time.time()) + 86_400, **CLAIMS["RS256"]}
    return jwt.encode(whole, KEYS["RS256"], "RS256", {"crit": ["exp"]})


def forged(header: dict[str, str], key: bytes) -> str:
    """A token in whose header anything stands, signed by HMAC."""
    claims = {"sub": "alice", "exp": int(time.time()) + 86_400, **CLAIMS["RS256"]}
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, claims)]
    signed = b".".join(parts)
    digest = hmac.digest(key, signed, hashlib.sha256) if key else b""
    return (signed + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


def status(serv: Serv, bearer: str) -> int:
    return serv.service.get("/inner/", {"Authorization": f"Bearer {bearer}"}).status


@pytest.mark.parametrize(
    ("bearer", "client"),
    [
        (token("RS256"), "two"),
        (token("RS256", private_pem(OLD)), "two"),  # a key that is being replaced
        (token("RS256", aud=["other", "data"]), "two"),
        (signed({"roles": {"a": {"b": ['}"{']}}, "sub": "alice", "aud": ["x", "data"]}), "two"),
        (token("RS256", sub="bob", nbf=int(time.time()) - 5), "jwt:rsa:bob"),
        (token("RS256", exp=time.time() + 86_400.5, nbf=1.5e9, iat=time.time()), "two"),
        (token("ES256"), "jwt:curve:alice"),  # alice of another issuer is somebody else
        (token("HS256"), "jwt:shared:alice"),
    ],
)
def test_who_signs_is_believed_for_its_own_subjects(serv: Serv, bearer: str, client: str) -> None:
    answer = serv.service.get("/inner/", {"Authorization": f"Bearer {bearer}"})
    assert (answer.status, answer.json()["headers"]["x-metwork-client"]) == (200, client)


@pytest.mark.parametrize(
    "bearer",
    [
        pytest.param(token("RS256", exp=int(time.time()) - 1), id="old"),
        pytest.param(token("RS256", drop="exp"), id="without an end"),
        pytest.param(token("RS256", nbf=int(time.time()) + 80_000), id="too early"),
        pytest.param(token("RS256", aud="other"), id="for another audience"),
        pytest.param(token("RS256", aud=["other", "database"]), id="for other audiences"),
        pytest.param(token("RS256", drop="aud"), id="for nobody"),
        pytest.param(token("RS256", iss="https://curve.example"), id="of another issuer"),
        pytest.param(signed({"sub": "alice", "of": {"aud": ["data"]}}), id="for another audience, deeper down"),
        pytest.param(signed({"sub": 'a","aud":["data"],"b":"'}), id="about somebody with a clever name"),
        pytest.param(token("RS256", drop="iss"), id="of no issuer"),
        pytest.param(token("RS256", drop="sub"), id="about nobody"),
        pytest.param(token("RS256", private_pem(STRANGE)), id="signed by a stranger"),
        pytest.param(token("ES256", private_pem(new_key())), id="signed by a strange curve"),
        pytest.param(token("HS256", "another-secret-of-32-characters-and"), id="another secret"),
        pytest.param(forged({"alg": "none"}, b""), id="not signed"),
        pytest.param(forged({"alg": "None"}, b""), id="not signed, spelt otherwise"),
        pytest.param(forged({"alg": "HS256"}, public_pem(RSA).encode()), id="the public key as a secret"),
        pytest.param(forged({"alg": "HS256"}, b"jwt.rsa.0.pem"), id="the name of the key as a secret"),
        pytest.param(forged({"alg": "RS256"}, public_pem(RSA).encode()), id="another algorithm than it says"),
        pytest.param(token("RS256")[:-8] + "AAAAAAAA", id="tampered with"),
        pytest.param("..", id="dots"),
        pytest.param("", id="nothing"),
        *(pytest.param(token("RS256", exp=value), id=f"exp {value!r}") for value in NO_TIMES),
        *(pytest.param(token("RS256", nbf=value), id=f"nbf {value!r}") for value in (*NO_TIMES, "1")),
        *(pytest.param(token("RS256", iat=value), id=f"iat {value!r}") for value in (*NO_TIMES, "1")),
        pytest.param(token("RS256", iat=int(time.time()) + 80_000), id="signed tomorrow"),
        pytest.param(signed({"of": {"nbf": 1}, "sub": "alice", "aud": "data", "nbf": "1"}), id="nbf, not the first"),
        *(pytest.param(token_about(value), id=f"about {value!r}") for value in NOBODY),
        *(pytest.param(twice(*both), id=f"twice: {both}") for both in TWICE),
        pytest.param(critical(), id="with something that must be understood"),
        pytest.param("A" * 9000, id="very long"),
    ],
)
def test_a_token_that_is_not_right_is_refused(serv: Serv, bearer: str) -> None:
    answer = serv.service.get("/inner/", {"Authorization": f"Bearer {bearer}"})
    assert (answer.status, answer.headers.get("www-authenticate")) == (401, 'Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("kid", "algorithm", "key", "wanted"),
    [
        ("2027", "ES384", NEXT, 200),
        ("2026", "ES384", LAST, 200),
        ("2027", "ES384", LAST, 401),  # what the token calls it is not what it was signed by
        ("2026", "ES384", NEXT, 401),
        ("2025", "ES384", LAST, 401),  # a key that was taken away
        ("2027", "ES512", NAMED, 200),
        ("2027", "ES512", UNNAMED, 401),
        ("2025", "ES512", UNNAMED, 200),  # it may be called so: nobody says what it is called
        ("2025", "ES512", NAMED, 401),
        ("-", "RS256", RSA, 200),
        ("anything", "RS256", OLD, 200),
    ],
)
def test_a_token_is_told_by_the_key_that_it_names(serv: Serv, kid: str, algorithm: str, key: Any, wanted: int) -> None:
    assert status(serv, called(kid, algorithm, key)) == wanted


@pytest.mark.parametrize(("algorithm", "key"), [("ES384", NEXT), ("ES384", LAST), ("ES512", NAMED), ("ES512", UNNAMED)])
def test_a_token_that_names_no_key_is_told_by_any(serv: Serv, algorithm: str, key: Any) -> None:
    assert status(serv, token(algorithm, private_pem(key))) == 200


def test_a_key_that_is_not_right_is_refused_and_the_former_one_stays(serv: Serv) -> None:
    put(serv.folder / "curve.pem", public_pem(RSA))
    done = serv.try_to("metwork", "apply", "mfserv")
    assert done.returncode == 3
    assert f"config.ini:11 [jwt_curve] public_keys: {serv.folder}/curve.pem: its key is RSA, not EC" in done.stderr
    assert status(serv, token("ES256")) == 200
    put(serv.folder / "curve.pem", public_pem(CURVE))


def test_a_new_key_is_read_and_the_old_one_is_not_good_any_more(serv: Serv) -> None:
    key = new_key()
    put(serv.folder / "curve.pem", public_pem(key))
    serv.run("metwork", "apply", "mfserv")
    wait_until(lambda: status(serv, token("ES256", private_pem(key))) == 200, what="the new key")
    assert status(serv, token("ES256")) == 401


@pytest.mark.parametrize("word", ["Bearer", "Bearer ", "bearer", "BEARER  ", "Bearer\t", "Bearer \t "])
def test_a_bearer_of_nothing_is_refused_where_nobody_need_be_known(serv: Serv, word: str) -> None:
    assert serv.service.get("/open/", {"Authorization": word}).status == 401


@pytest.mark.parametrize("other", ["Basic YTpi", "Bearers", "Digest x", "bear er"])
def test_what_is_no_bearer_is_left_to_the_app(serv: Serv, other: str) -> None:
    assert serv.service.get("/open/", {"Authorization": other}).status == 200
