"""der: the few fields of certificates and public keys that are looked at (X.690, RFC 5280; pure)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_SEQUENCE, _OID, _BITS, _INTEGER, _VERSION, _UTC_TIME = 0x30, 0x06, 0x03, 0x02, 0xA0, 0x17
_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")
_CURVES = {
    bytes.fromhex("2a8648ce3d030107"): "P-256",
    bytes.fromhex("2b81040022"): "P-384",
    bytes.fromhex("2b81040023"): "P-521",
}


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


def pem_blocks(text: str) -> list[tuple[str, bytes]]:
    """The blocks of a PEM file: their labels and contents; what is not base64 is empty."""
    found = re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", text, re.DOTALL)
    return [(label, _decoded(body)) for label, body in found]


def _decoded(body: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        return b""


def validity(certificate: bytes) -> Validity:
    """When *certificate* holds.

    Raises:
        ValueError: it is no certificate.
    """
    (_, whole), *_ = _items(certificate)
    (_, signed), *_ = _items(whole)
    fields = [value for tag, value in _items(signed) if tag != _VERSION]
    (begin_tag, begin), (end_tag, end) = _items(fields[3])  # after number, signature and issuer
    return Validity(_time(begin_tag, begin), _time(end_tag, end))


def public_key(key: bytes) -> PublicKey:
    """What *key*, a SubjectPublicKeyInfo, is.

    Raises:
        ValueError: it is none.
    """
    (_, whole), *_ = _items(key)
    (_, algorithm), (tag, bits) = _items(whole)
    names = [value for kind, value in _items(algorithm) if kind == _OID]
    if tag != _BITS or not names:
        raise ValueError("no public key")
    if names[0] == _RSA:
        (_, numbers), *_ = _items(bits[1:])
        (_, modulus), *_ = _items(numbers)
        return PublicKey("RSA", bits=int.from_bytes(modulus, "big").bit_length())
    if names[0] == _EC:
        return PublicKey("EC", curve=_CURVES.get(names[-1], ""))
    return PublicKey("")


def _items(data: bytes) -> list[tuple[int, bytes]]:
    return list(_each(data))


def _each(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents of the items in *data*."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("cut off")
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("cut off")
        yield tag, data[at : at + length]
        at += length


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)
