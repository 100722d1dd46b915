"""Reads the stream of files in an RPM (cpio, form "newc"), one entry after the other, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from mfext.errors import PluginError

_MAGICS, _HEADER, _END = (b"070701", b"070702"), 110, "TRAILER!!!"
_LONGEST_NAME = 8192
CHUNK = 1 << 18


@dataclass(frozen=True)
class Entry:
    """One file of the stream."""

    #: As it stands there: rpm writes a ``.`` in front of the path.
    name: str
    mode: int
    size: int
    #: How many names the file has, and what tells it from others.
    links: int
    inode: int
    #: Its content; what is not read is skipped.
    content: Iterator[bytes]


def entries(stream: IO[bytes]) -> Iterator[Entry]:
    """The entries of *stream* up to its end mark.

    Raises:
        PluginError: it is no such stream, or it is cut off.
    """
    while True:
        head = _read(stream, _HEADER)
        if head[:6] not in _MAGICS:
            raise PluginError("its payload is damaged", expected="a cpio stream")
        try:
            fields = [int(head[start : start + 8], 16) for start in range(6, _HEADER, 8)]
        except ValueError:
            raise PluginError("its payload is damaged", expected="a cpio stream") from None
        inode, mode, links, size, name_size = fields[0], fields[1], fields[4], fields[6], fields[11]
        if name_size > _LONGEST_NAME:
            raise PluginError("its payload is damaged: a name is too long")
        padded = name_size + -(_HEADER + name_size) % 4
        name = _read(stream, padded)[: name_size - 1].decode("utf-8", "surrogateescape")
        if name == _END:
            return
        content = _content(stream, size)
        yield Entry(name, mode, size, links, inode, content)
        for _ in content:
            pass
        _read(stream, -size % 4)


def _content(stream: IO[bytes], size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = _read(stream, min(left, CHUNK))
        left -= len(chunk)
        yield chunk


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) != size:
        raise PluginError("its payload is cut off", expected=f"{size - len(data)} more bytes")
    return data
