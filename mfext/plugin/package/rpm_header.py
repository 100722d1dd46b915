"""What the headers of an RPM file say, read without rpm: whatever the bytes are, it is a value or an error (pure)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from mfext.errors import PluginError

#: Tags by the names that rpm gives them.
NAME, VERSION, RELEASE, EPOCH, SUMMARY, DESCRIPTION = 1000, 1001, 1002, 1003, 1004, 1005
VENDOR, LICENSE, PACKAGER, GROUP, URL, ARCH = 1011, 1014, 1015, 1016, 1020, 1022
FILESIZES, LONGFILESIZES, FILEMODES, FILERDEVS, FILEDIGESTS, FILELINKTOS = 1028, 5008, 1030, 1033, 1035, 1036
FILEDIGESTALGO, FILECAPS = 5011, 5010
PROVIDENAME, PROVIDEFLAGS, PROVIDEVERSION = 1047, 1112, 1113
REQUIRENAME, REQUIREFLAGS, REQUIREVERSION = 1049, 1048, 1050
PREFIXES, DIRINDEXES, BASENAMES, DIRNAMES = 1098, 1116, 1117, 1118

#: Tags of the first header: the digest of the second one, and all kinds of signatures.
SHA256HEADER, SIGNATURES = 273, frozenset((267, 268, 278, 1002, 1005))

_LEAD_MAGIC, _LEAD_SIZE = b"\xed\xab\xee\xdb", 96
_MAGIC, _ENTRY = b"\x8e\xad\xe8\x01", struct.Struct(">IIII")
#: Numbers by their type in the file.
_NUMBERS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}
_TEXT, _BYTES, _TEXTS, _TRANSLATED = 6, 7, 8, 9
#: Far more than any header needs.
_MOST_ENTRIES, _MOST_BYTES = 10_000, 100_000_000

#: The values of one tag.
Values = tuple[str, ...] | tuple[int, ...] | bytes


@dataclass(frozen=True)
class Header:
    """The values of an RPM by tag."""

    values: Mapping[int, Values]
    #: Tags of the first header, which is about the second one: digests, signatures.
    signature: Mapping[int, Values]
    #: Where the payload begins in the file.
    size: int

    def text(self, tag: int) -> str:
        """The first text of *tag*, '' when it has none."""
        return next(iter(self.texts(tag)), "")

    def texts(self, tag: int) -> tuple[str, ...]:
        """All texts of *tag*; undecodable bytes as Python keeps them in file names."""
        return _of(self.values, tag, str)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """All numbers of *tag*."""
        return _of(self.values, tag, int)

    @property
    def digest(self) -> str:
        """What tells this build from all others: the digest of its header, which holds those of its files."""
        return next(iter(_of(self.signature, SHA256HEADER, str)), "")


def read_header(data: bytes) -> Header:
    """The header of the RPM that starts with *data*.

    Raises:
        PluginError: these are no such headers, or they are cut off.
    """
    if not data.startswith(_LEAD_MAGIC):
        raise PluginError("this is no RPM", expected="an archive that plugins.release made")
    try:
        signature, end = _section(data, _LEAD_SIZE)
        values, end = _section(data, end + -end % 8)
    except (struct.error, IndexError, ValueError) as error:
        raise PluginError(f"its header is damaged or cut off: {error}") from None
    return Header(values, signature, end)


def _of(values: Mapping[int, Values], tag: int, kind: type[str] | type[int]) -> tuple:  # type: ignore[type-arg]
    found = values.get(tag, ())
    return tuple(value for value in found if isinstance(value, kind)) if isinstance(found, tuple) else ()


def _section(data: bytes, start: int) -> tuple[dict[int, Values], int]:
    """The tags of the header at *start*, and where it ends."""
    if data[start : start + 4] != _MAGIC:
        raise ValueError("no header where one should be")
    count, size = struct.unpack_from(">II", data, start + 8)
    if count > _MOST_ENTRIES or size > _MOST_BYTES:
        raise ValueError("it is too large")
    index, store = start + 16, start + 16 + count * _ENTRY.size
    if len(data) < store + size:
        raise ValueError(f"{store + size - len(data)} bytes are missing")
    body = data[store : store + size]
    values: dict[int, Values] = {}
    for number in range(count):
        tag, kind, offset, length = _ENTRY.unpack_from(data, index + number * _ENTRY.size)
        if tag in values:
            raise ValueError(f"tag {tag} stands twice")
        values[tag] = _values(body, kind, offset, length)
    return values, store + size


def _values(body: bytes, kind: int, offset: int, count: int) -> Values:
    if offset > len(body) or count > len(body):
        raise ValueError("a value lies outside")
    if kind in _NUMBERS:
        return struct.unpack_from(f">{count}{_NUMBERS[kind]}", body, offset)
    if kind == _BYTES:
        return body[offset : offset + count]
    if kind in (_TEXT, _TEXTS, _TRANSLATED):
        return tuple(_texts(body, offset, 1 if kind == _TEXT else count))
    return ()


def _texts(body: bytes, offset: int, count: int) -> list[str]:
    texts = []
    for _ in range(count):
        end = body.index(b"\0", offset)
        texts.append(body[offset:end].decode("utf-8", "surrogateescape"))
        offset = end + 1
    return texts
