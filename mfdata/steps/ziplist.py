"""Zip list: whether the list of files at the end of a zip file names all that is in it.

Python's reader takes the list as it is: one that names fewer files than its own end record counts, or a second zip file
put before the first, would be read as a smaller archive.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_HEADER = struct.Struct("<4s5H3L2H")
_END_MARK, _LOCATOR_MARK, _END64_MARK, _HEADER_MARK = b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\3\4"
#: What some writers put before the first file: the file could have become several.
_SPANNED = (b"PK00", b"PK\7\x08")
_LONGEST_COMMENT = 0xFFFF
#: Behind the content of a file whose size was not known before: mark, checksum, two sizes of eight bytes.
_LONGEST_DESCRIPTOR = 24


class _End(NamedTuple):
    """What the end record says."""

    disk: int
    disk_of_list: int
    count_on_disk: int
    total: int
    size: int
    offset: int


def check_list(archive: zipfile.ZipFile, source: BinaryIO) -> None:
    """Make sure that *archive*, which was opened from *source*, lists all that is in it.

    Raises:
        zipfile.BadZipFile: it does not, or something stands before or behind it.
    """
    end, begins = _end_of(source)
    infos = sorted(archive.filelist, key=lambda info: info.header_offset)
    if end.disk or end.disk_of_list or end.count_on_disk != end.total:
        raise zipfile.BadZipFile("it is a part of an archive of several files")
    if len(infos) != end.total:
        raise zipfile.BadZipFile(f"its list names {len(infos)} files, and its end record counts {end.total}")
    if end.offset + end.size != begins:
        raise zipfile.BadZipFile("something stands before it, or between its list and its end record")
    first = infos[0].header_offset if infos else end.offset
    source.seek(0)
    if first and not (first == len(_SPANNED[0]) and source.read(first) in _SPANNED):
        raise zipfile.BadZipFile("something stands before its first file")
    for ends, next_begins in zip(_ends(infos, source), _begins(infos, end.offset), strict=True):
        source.seek(ends)
        between = source.read(min(max(0, next_begins - ends), _LONGEST_DESCRIPTOR + len(_HEADER_MARK)))
        if _HEADER_MARK in between:
            raise zipfile.BadZipFile(f"there is a file in it, at byte {ends}, that its list does not name")


def _end_of(source: BinaryIO) -> tuple[_End, int]:
    """The end record, and where it begins; of a large archive the one that has room for large numbers."""
    size = source.seek(0, os.SEEK_END)
    start = max(0, size - _LONGEST_COMMENT - _END.size)
    source.seek(start)
    tail = source.read(size - start)
    at = len(tail)
    while (at := tail.rfind(_END_MARK, 0, at)) >= 0:
        if at + _END.size <= len(tail):
            _, *numbers, comment = _END.unpack_from(tail, at)
            if at + _END.size + comment == len(tail):
                return _large_end(_End(*numbers), start + at, source)
    raise zipfile.BadZipFile("something stands behind its end, or its end record is cut off")


def _large_end(end: _End, begins: int, source: BinaryIO) -> tuple[_End, int]:
    if begins < _LOCATOR.size:
        return end, begins
    source.seek(begins - _LOCATOR.size)
    mark, _, place, _ = _LOCATOR.unpack(source.read(_LOCATOR.size))
    if mark != _LOCATOR_MARK:
        return end, begins
    source.seek(place)
    found = source.read(_END64.size)
    if len(found) < _END64.size or not found.startswith(_END64_MARK):
        raise zipfile.BadZipFile("its end record for large archives is not where it should be")
    _, _, _, _, disk, disk_of_list, count_on_disk, count, size, offset = _END64.unpack(found)
    return _End(disk, disk_of_list, count_on_disk, count, size, offset), place


def _ends(infos: list[zipfile.ZipInfo], source: BinaryIO) -> Iterator[int]:
    """Where the content of each file ends."""
    for info in infos:
        source.seek(info.header_offset)
        head = source.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(_HEADER_MARK):
            raise zipfile.BadZipFile(f"{info.filename!r} is not where its list says")
        name, extra = _HEADER.unpack(head)[-2:]
        yield info.header_offset + _HEADER.size + name + extra + info.compress_size


def _begins(infos: list[zipfile.ZipInfo], offset: int) -> Iterator[int]:
    """Where what follows each file begins."""
    yield from (info.header_offset for info in infos[1:])
    if infos:
        yield offset
