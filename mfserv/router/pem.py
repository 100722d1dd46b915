"""PEM: what is looked at of certificates and public keys in files, read by cryptography (RFC 7468)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_CERTIFICATE, _PUBLIC_KEY = "CERTIFICATE", "PUBLIC KEY"
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True)
class Validity:
    """From when to when a certificate holds."""

    begin: datetime
    end: datetime


@dataclass(frozen=True)
class PublicKey:
    """What kind of key it is."""

    #: RSA, EC, or '' for anything else.
    kind: str
    #: Bits of an RSA key.
    bits: int = 0
    #: P-256, P-384 or P-521, or '' for anything else.
    curve: str = ""


def pem_blocks(text: str) -> list[tuple[str, str]]:
    """The blocks of a PEM file: their labels, and each as it is."""
    found = re.finditer(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", text, re.DOTALL)
    return [(match[1], match[0]) for match in found]


def validity(certificate: str) -> Validity:
    """When *certificate*, a block, holds.

    Raises:
        ValueError: it is no certificate.
    """
    from cryptography import x509  # tens of milliseconds, for few

    found = x509.load_pem_x509_certificate(certificate.encode())
    return Validity(found.not_valid_before_utc, found.not_valid_after_utc)


def public_key(key: str) -> PublicKey:
    """What *key*, a block with a SubjectPublicKeyInfo, is.

    Raises:
        ValueError: it is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        found = load_pem_public_key(key.encode())
    except UnsupportedAlgorithm:
        return PublicKey("")
    plain = found.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    if "".join(plain.split()) != "".join(
        key.split()
    ):  # a key for RSA-PSS alone, or a curve without its name: tokens have none such
        return PublicKey("")
    if isinstance(found, RSAPublicKey):
        return PublicKey("RSA", bits=found.key_size)
    if isinstance(found, EllipticCurvePublicKey):
        return PublicKey("EC", curve=_CURVES.get(found.curve.name, ""))
    return PublicKey("")
