"""Checksums that a client sends with a body, compared with what came (RFC 9530, RFC 3230, RFC 1864)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: By the name in a header field: the name in hashlib.
_KINDS = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}
#: ``sha-256=:BASE64:`` of RFC 9530, and ``SHA-256=BASE64`` of RFC 3230 before it.
_FIELDS = {
    "Content-Digest": re.compile(r"([A-Za-z*][A-Za-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;.*)?"),
    "Repr-Digest": re.compile(r"([A-Za-z*][A-Za-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;.*)?"),
    "Digest": re.compile(r"([A-Za-z][A-Za-z0-9-]*)=([A-Za-z0-9+/=]*)"),
}


class Checksums:
    """Those of one body. Kinds that are not known are passed over, as the RFCs ask for."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Raises ValueError: what *headers* say is no checksum."""
        self._expected = list(_expected(headers))
        self._sums: dict[str, Any] = {kind: hashlib.new(kind, usedforsecurity=False) for _, kind, _ in self._expected}

    def update(self, data: bytes) -> None:
        """More of the body."""
        for one in self._sums.values():
            one.update(data)

    @property
    def fault(self) -> str:
        """What speaks against the body that came; '' when nothing does."""
        for field, kind, expected in self._expected:
            found = self._sums[kind].digest()
            if found != expected:
                texts = (base64.b64encode(one).decode() for one in (found, expected))
                return "{} does not match: the {} of what came is {}, not {}".format(field, kind, *texts)
        return ""


def _expected(headers: Mapping[str, str]) -> Iterator[tuple[str, str, bytes]]:
    if "Content-MD5" in headers:
        yield "Content-MD5", "md5", _decoded("Content-MD5", "md5", headers["Content-MD5"].strip())
    for field, form in _FIELDS.items():
        for item in filter(None, map(str.strip, headers.get(field, "").split(","))):
            found = form.fullmatch(item)
            if found is None:
                raise ValueError(f"{field} is not as it must be: {item!r}")
            kind = _KINDS.get(found[1].lower())
            if kind:
                yield field, kind, _decoded(field, kind, found[2])


def _decoded(field: str, kind: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        value = b""
    if len(value) != hashlib.new(kind, usedforsecurity=False).digest_size:
        raise ValueError(f"{field} holds no {kind} in base64: {text!r}")
    return value
