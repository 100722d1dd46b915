"""HTTP/2 by hand, as far as it takes to send what no library sends: one request on a connection of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4


class Frame(NamedTuple):
    """A frame as it came."""

    type: int
    flags: int
    stream: int
    payload: bytes


def ask(
    port: int,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    trailers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> bytes:
    """The body of the answer to a request of HTTP/2 without TLS; b'' when it was reset."""
    first = {":method": method, ":scheme": "http", ":authority": "a", ":path": path, **(headers or {})}
    sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, 0, b"", stream=0) + frame(_HEADERS, 4, packed(first))
    if body is not None:
        sent += frame(_DATA, 0, body)
    sent += frame(_HEADERS, _END_HEADERS | _END_STREAM, packed(trailers or {"x-nothing": "1"}))
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        for one in frames(connection):
            if one.type == _SETTINGS and not one.flags:
                connection.sendall(frame(_SETTINGS, 1, b"", stream=0))
            if one.type in (_RESET, _GOAWAY):
                return b""
            if one.type == _DATA:
                found += one.payload
            if one.stream == 1 and one.flags & _END_STREAM:
                break
    return found


def frame(kind: int, flags: int, payload: bytes, stream: int = 1) -> bytes:
    """A frame as bytes."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def packed(headers: Mapping[str, str]) -> bytes:
    """Headers as HPACK, all of them literal and not indexed."""
    return b"".join(b"\0" + _text(name.encode()) + _text(value.encode()) for name, value in headers.items())


def _text(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes((len(text),)) + text


def frames(connection: socket.socket) -> Iterator[Frame]:
    """What comes, until the other side closes."""
    with connection.makefile("rb") as stream:
        while len(head := stream.read(9)) == 9:
            yield Frame(
                head[3], head[4], int.from_bytes(head[5:9], "big"), stream.read(int.from_bytes(head[:3], "big"))
            )
