"""The headers of an RPM file, as bytes."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfext.errors import PluginError
from mfext.plugin.package.rpm_header import NAME, SHA256HEADER, read_header

TEXT, TEXTS, NUMBERS = 6, 8, 4


def section(*tags: tuple[int, int, int, bytes]) -> bytes:
    index, store = b"", b""
    for tag, kind, count, value in tags:
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += value
    return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", len(tags), len(store)) + index + store


def rpm(*tags: tuple[int, int, int, bytes]) -> bytes:
    first = section((SHA256HEADER, TEXT, 1, b"abcdef\0"))
    return b"\xed\xab\xee\xdb" + b"\0" * 92 + first + b"\0" * (-len(first) % 8) + section(*tags) + b"payload"


WHOLE = rpm(
    (NAME, TEXT, 1, b"one\0"), (1117, TEXTS, 2, b"a\0b\xff\0"), (1028, NUMBERS, 2, struct.pack(">II", 7, 1 << 31))
)


def test_texts_and_numbers_are_read() -> None:
    header = read_header(WHOLE)
    assert header.text(NAME) == "one"
    assert header.texts(1117) == ("a", "b\udcff")
    assert header.numbers(1028) == (7, 1 << 31)
    assert header.digest == "abcdef"
    assert WHOLE[header.size :] == b"payload"


def test_a_tag_that_is_not_there_or_of_another_kind_has_no_values() -> None:
    header = read_header(WHOLE)
    assert (header.text(1), header.texts(1028), header.numbers(NAME)) == ("", (), ())


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8b" + b"\0" * 200])
def test_other_files_are_no_rpm(data: bytes) -> None:
    with pytest.raises(PluginError, match="this is no RPM"):
        read_header(data)


@pytest.mark.parametrize(
    "data",
    [
        rpm((NAME, TEXT, 1, b"no end")),
        rpm((NAME, TEXTS, 3, b"a\0b\0")),
        rpm((NAME, NUMBERS, 1 << 30, b"\0\0\0\0")),
        rpm((NAME, TEXT, 1, b"a\0"), (NAME, TEXT, 1, b"b\0")),
        b"\xed\xab\xee\xdb" + b"\0" * 200,
        b"\xed\xab\xee\xdb" + b"\0" * 92 + b"\x8e\xad\xe8\x01\0\0\0\0" + b"\xff" * 200,
    ],
)
def test_a_header_that_lies_is_an_error(data: bytes) -> None:
    with pytest.raises(PluginError, match="damaged"):
        read_header(data)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=12))
def test_whatever_is_in_it_is_an_error_or_a_value(place: int, junk: bytes) -> None:
    for data in (WHOLE[:place] + junk + WHOLE[place + len(junk) :], WHOLE[:place]):
        with suppress(PluginError):
            read_header(data).text(NAME)
