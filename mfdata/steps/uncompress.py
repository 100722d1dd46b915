"""Uncompress: gzip, bzip2, xz and zstd, streaming with constant memory, bounded against bombs."""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, Protocol

from mfdata import Done, Failed, File, Step
from mfext.option import option
from mfext.section import Section

CHUNK = 256 * 1024
#: Below this size no ratio is suspicious.
ALWAYS_ALLOWED = 16 * 1024 * 1024
#: What an xz file may make us allocate: ``xz -9`` wants 65 MiB.
XZ_MEMORY = 256 * 1024 * 1024
#: The same for zstd: ``zstd --long`` wants 128 MiB.
ZSTD_MEMORY = 128 * 1024 * 1024
#: zstd makes 128 KiB of 4 bytes at most: so much at once bounds what comes of it by 32 MiB.
_ZSTD_PIECE = 1024


@dataclass(frozen=True)
class UncompressKeys(Section):
    """What becomes of the content, and what is too much."""

    destination: str = option("switch/main", help="The step that gets the uncompressed file, as PLUGIN/STEP.")
    max_size: int = option(
        10_000_000_000,
        unit="bytes",
        minimum=1,
        help="A file that would become larger than this fails: it may be a bomb.",
    )
    max_ratio: int = option(
        500, minimum=1, help="A file that grows by more than this factor, and beyond 16 MiB, fails: it may be a bomb."
    )


class Unreadable(Exception):
    """The content is not what it says, or too much."""


class Decompressor(Protocol):
    """One member of a compressed file, as the standard library's decompressors see it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Gunzip:
    """zlib with the interface of the others."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        self.needs_input = len(made) < max_length and not self._member.unconsumed_tail
        return made


class Zstd:
    """zstandard with the interface of the others; it knows no ``max_length``, so that it is fed in small pieces."""

    def __init__(self) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._member = zstandard.ZstdDecompressor(max_window_size=ZSTD_MEMORY).decompressobj()
        self._data = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._data)

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data + self._data[self._at :]

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._data, self._at = data, 0
        piece = self._data[self._at : self._at + _ZSTD_PIECE]
        self._at += len(piece)
        try:
            return self._member.decompress(piece)
        except self._error as error:
            raise ValueError(str(error)) from None


class Uncompress(Step):
    """Makes one file out of one; the kinds below say how."""

    Custom = UncompressKeys
    custom: UncompressKeys

    #: The format, for people.
    kind: ClassVar[str]
    #: How a member may start; all are equally long.
    magic: ClassVar[tuple[bytes, ...]]
    #: What a suffix becomes.
    suffixes: ClassVar[Mapping[str, str]]
    decompressor: ClassVar[Callable[[], Decompressor]]

    def open(self) -> None:
        """Load what the format needs: without it this process does not start, and says why."""
        type(self).decompressor()

    def process(self, file: File) -> Done | Failed:
        made = self.output(shorter_name(file.basename, self.suffixes))
        try:
            with open(file.path, "rb") as source, open(made, "wb", buffering=0) as target:
                for chunk in self._bounded(source, os.fstat(source.fileno()).st_size):
                    target.write(chunk)
        except Unreadable as error:
            return Failed(f"{error}", permanent=True)
        return Done(made, to=self.custom.destination)

    def _bounded(self, source: BinaryIO, size: int) -> Iterator[bytes]:
        ratio_limit = max(ALWAYS_ALLOWED, size * self.custom.max_ratio)
        total = 0
        for chunk in uncompressed(source, self.kind, self.magic, type(self).decompressor):
            total += len(chunk)
            if total > self.custom.max_size:
                raise Unreadable(f"it would become larger than max_size, {self.custom.max_size} bytes")
            if total > ratio_limit:
                raise Unreadable(f"it grows by more than max_ratio, {self.custom.max_ratio}: it may be a bomb")
            yield chunk


class Ungzip(Uncompress):
    """gzip (RFC 1952), of one or several members."""

    kind = "gzip"
    magic = (b"\x1f\x8b",)
    suffixes: ClassVar[Mapping[str, str]] = {".gz": "", ".tgz": ".tar", ".taz": ".tar", ".z": ""}
    decompressor = Gunzip


class Unbzip2(Uncompress):
    """bzip2, of one or several streams."""

    kind = "bzip2"
    magic = (b"BZh",)
    suffixes: ClassVar[Mapping[str, str]] = {".bz2": "", ".bz": "", ".tbz": ".tar", ".tbz2": ".tar"}
    decompressor = bz2.BZ2Decompressor


class Unxz(Uncompress):
    """xz, of one or several streams."""

    kind = "xz"
    magic = (b"\xfd7zXZ\x00",)
    suffixes: ClassVar[Mapping[str, str]] = {".xz": "", ".txz": ".tar"}

    @staticmethod
    def decompressor() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


class Unzstd(Uncompress):
    """zstd (RFC 8878), of one or several frames."""

    kind = "zstd"
    #: A frame, or one of the sixteen types of frames that are to be passed over: pzstd begins with one.
    magic = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16)))
    suffixes: ClassVar[Mapping[str, str]] = {".zst": "", ".zstd": "", ".tzst": ".tar"}
    decompressor = Zstd


def shorter_name(name: str, suffixes: Mapping[str, str]) -> str:
    """*name* without the suffix of the compressed form, if it has one and something is left without it."""
    for suffix, becomes in suffixes.items():
        stem = name[: -len(suffix)]
        if name.lower().endswith(suffix) and stem not in ("", ".", ".."):
            return stem + becomes
    return name


def uncompressed(
    source: BinaryIO, kind: str, magic: tuple[bytes, ...], new: Callable[[], Decompressor]
) -> Iterator[bytes]:
    """The content of *source* in chunks, all members one after the other; zeros behind a member are padding.

    Raises:
        Unreadable: it is not of this *kind*, damaged, cut off, or something else stands behind its end.
    """
    data = source.read(CHUNK)
    if not data.startswith(magic):
        raise Unreadable(f"it is not a {kind} file" if data else "it is empty")
    while data:
        member = new()
        while not member.eof:
            yield _next_chunk(member, data, kind)
            data = b"" if member.eof or not member.needs_input else source.read(CHUNK)
            if not data and member.needs_input and not member.eof:
                raise Unreadable(f"it is cut off: the {kind} data ends in the middle")
        data = _after_padding(member.unused_data, source, len(magic[0]))
        if data and not data.startswith(magic):
            raise Unreadable(f"something that is not {kind} data stands behind its end")


def _next_chunk(member: Decompressor, data: bytes, kind: str) -> bytes:
    try:
        return member.decompress(data, CHUNK)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise Unreadable(f"its {kind} data is damaged: {error}") from error


def _after_padding(data: bytes, source: BinaryIO, least: int) -> bytes:
    """What comes after the zeros at the start of *data* and what follows it; *least* bytes if there are so many."""
    data = data.lstrip(b"\0")
    while len(data) < least:
        more = source.read(CHUNK)
        if not more:
            break
        data = (data + more).lstrip(b"\0")
    return data
