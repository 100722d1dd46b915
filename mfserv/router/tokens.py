"""Tokens: whose bearer tokens are good, and by which keys they are told, from the module's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfext.errors import ConfigError, MetworkError, raise_all
from mfext.section import Config
from mfserv.config import Jwt
from mfserv.router.pem import pem_blocks, public_key

#: A text of JSON, and any claims before the one that is looked for, with all that they hold.
_TEXT = r'"(?:[^"\\]|\\.)*+"'
_BEFORE = rf'(?:[^{{}}"]|{_TEXT}|(?<o>\{{(?:[^{{}}"]|{_TEXT}|(?&o))*+\}}))*?'
#: A number of JSON of at least 0, without an exponent, and what ends it.
_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\s*[,}]"
#: What an algorithm signs with.
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
#: Bits of an RSA key, at least (RFC 7518, 3.3).
_SHORTEST = 2048


@dataclass(frozen=True)
class Key:
    """A public key of an issuer."""

    #: What tokens that it signs call it (``kid``; RFC 7515, 4.1.4); '' = it is not said.
    kid: str
    #: PEM.
    text: str


@dataclass(frozen=True)
class Issuer:
    """Who signs tokens."""

    name: str
    settings: Jwt
    keys: tuple[Key, ...] = ()

    @property
    def is_secret(self) -> bool:
        """Whether it signs with a secret that the router shares."""
        return self.settings.algorithm.startswith("HS")

    @property
    def files(self) -> dict[str, str]:
        """Its public keys as files of the router, by name."""
        return {f"jwt.{self.name}.{number}.pem": key.text for number, key in enumerate(self.keys)}

    @property
    def kids(self) -> tuple[str, ...]:
        """What tokens call its keys: one with such a ``kid`` is told by that key only."""
        return tuple(key.kid for key in self.keys if key.kid)

    @property
    def audience(self) -> str:
        """What the claims of a token for its audience match: HAProxy's own query of JSON knows no lists."""
        wanted = f'"{re.escape(self.settings.audience)}"'.replace("/", r"\\?/")
        return rf"{is_there('aud')}(?:{wanted}|\[[^\[\]{{}}]*{wanted}[^\[\]{{}}]*\])"


def is_there(name: str) -> str:
    """What JSON of an object matches that has *name*; its value follows."""
    return rf'^\s*\{{{_BEFORE}"{name}"\s*:\s*+'


def number(name: str) -> str:
    """What JSON of an object matches in which *name* is a number of at least 0, written without an exponent.

    HAProxy's own query takes any text for a number, and reads it up to the first letter.
    """
    return f"{is_there(name)}{_NUMBER}"


def no_number(name: str) -> str:
    """What JSON of an object matches in which *name* is something else, though it may be there twice."""
    return f"{is_there(name)}(?!{_NUMBER})"


def text(name: str) -> str:
    """What JSON of an object matches in which *name* is a text."""
    return rf"{is_there(name)}{_TEXT}\s*[,}}]"


def no_text(name: str) -> str:
    """What JSON of an object matches in which *name* is something else, though it may be there twice."""
    return rf"{is_there(name)}(?!{_TEXT}\s*[,}}])"


def issuers(config: Config) -> tuple[Issuer, ...]:
    """The issuers that the module's *config* names, with what is in the files of their keys.

    Raises:
        ConfigError: a key is not there or not of the right kind (``Several`` for more than one).
    """
    found: list[Issuer] = []
    errors: list[MetworkError] = []
    for section in config.names("jwt_*"):
        settings = config.section(section, Jwt)
        keys, wrong = _keys(section, settings, config)
        errors += [*_faults(section, settings, config), *wrong]
        found.append(Issuer(section.removeprefix("jwt_"), settings, tuple(keys)))
    raise_all(errors)
    return tuple(found)


def _faults(section: str, settings: Jwt, config: Config) -> Iterator[ConfigError]:
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", section.removeprefix("jwt_")):
        yield ConfigError(f'"{section.removeprefix("jwt_")}" cannot be the name of an issuer', where=f"[{section}]")
    is_secret = settings.algorithm.startswith("HS")
    wanted, unwanted = ("secret", "public_keys") if is_secret else ("public_keys", "secret")
    where = f"{config.origin(section, 'algorithm')} [{section}]"
    if not getattr(settings, wanted):
        yield ConfigError(f"{settings.algorithm} without {wanted}", where=where, mend=f"Set {wanted}.")
    if getattr(settings, unwanted):
        # Never both: a public key is public, and must not be taken for a secret.
        yield ConfigError(f"{settings.algorithm} with {unwanted}", where=where, mend=f"Remove {unwanted}.")


def _keys(section: str, settings: Jwt, config: Config) -> tuple[list[Key], list[ConfigError]]:
    keys: list[Key] = []
    errors: list[ConfigError] = []
    where = f"{config.origin(section, 'public_keys')} [{section}] public_keys"
    for given in settings.public_keys:
        kid, slash, path = given.partition("/")
        kid, name = kid.removesuffix(":"), slash + path
        if kid and kid in [key.kid for key in keys]:
            errors.append(ConfigError(f'two keys are called "{kid}"', where=where))
        try:
            text = Path(name).read_text("ascii")
            fault = _key_fault(text, settings.algorithm)
        except OSError as error:
            text, fault = "", f"it cannot be read: {error.strerror}"
        except ValueError:
            text, fault = "", "it is no PEM file with a public key"
        if fault:
            expected = f"a PEM file with a public key for {settings.algorithm}"
            errors.append(ConfigError(f"{name}: {fault}", where=where, expected=expected))
        keys.append(Key(kid, text))
    return keys, errors


def _key_fault(text: str, algorithm: str) -> str:
    """Why the public key in *text* is not one for *algorithm*; '' when it is."""
    blocks = dict(pem_blocks(text))
    if any(label.endswith("PRIVATE KEY") for label in blocks):
        return "there is a private key in it, which nobody but the issuer should have"
    if text.lstrip().startswith("{"):
        return "it is JSON, such as a JWK Set, and not PEM"
    if "PUBLIC KEY" not in blocks:
        return "there is no public key in it" + (
            ", but a certificate: openssl x509 -pubkey -noout gives its key" if "CERTIFICATE" in blocks else ""
        )
    key = public_key(blocks["PUBLIC KEY"])
    if algorithm.startswith("RS"):
        if key.kind != "RSA":
            return f"its key is {key.kind or 'of another kind'}, not RSA"
        return f"its key has {key.bits} bits, fewer than {_SHORTEST}" if key.bits < _SHORTEST else ""
    if key.kind != "EC":
        return f"its key is {key.kind or 'of another kind'}, not EC"
    return (
        f"its curve is {key.curve or 'another one'}, not {_CURVES[algorithm]}"
        if key.curve != _CURVES.get(algorithm, "")
        else ""
    )
