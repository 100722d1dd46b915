"""The stream of files in an RPM."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfext.errors import PluginError
from mfext.plugin.package.cpio import entries


def entry(name: str, content: bytes = b"", mode: int = 0o100644) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (7, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


END = entry("TRAILER!!!")
STREAM = entry("./a", b"12345") + entry("./d", mode=0o040755) + entry("./d/b", b"x" * 1000) + END


def test_files_come_with_their_content() -> None:
    read = [(one.name, one.mode, one.size, b"".join(one.content)) for one in entries(BytesIO(STREAM + b"more"))]
    assert read == [
        ("./a", 0o100644, 5, b"12345"),
        ("./d", 0o040755, 0, b""),
        ("./d/b", 0o100644, 1000, b"x" * 1000),
    ]


def test_content_that_is_not_read_is_skipped() -> None:
    assert [one.name for one in entries(BytesIO(STREAM))] == ["./a", "./d", "./d/b"]


@pytest.mark.parametrize("size", [0, 5, 109, 110, 111, 118, len(STREAM) - len(END), len(STREAM) - 5])
def test_a_stream_that_is_cut_off_is_an_error(size: int) -> None:
    with pytest.raises(PluginError, match="its payload is cut off"):
        list(entries(BytesIO(STREAM[:size])))


@given(st.integers(0, len(STREAM) - 1), st.binary(min_size=1, max_size=8))
def test_whatever_is_in_it_is_an_error_or_entries(place: int, junk: bytes) -> None:
    damaged = STREAM[:place] + junk + STREAM[place + len(junk) :]
    with suppress(PluginError):
        list(entries(BytesIO(damaged)))
