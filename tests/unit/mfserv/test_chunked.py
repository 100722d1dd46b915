from __future__ import annotations

import pytest

from mfserv.chunked import Chunked

BODY = b"5\r\nhello\r\n0a;note=1\r\n0123456789\r\n0\r\nTrailer: 99\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_the_size_is_the_same_however_it_comes(step: int) -> None:
    seen = Chunked()
    for at in range(0, len(BODY), step):
        seen.see(BODY[at : at + step])
    assert seen.size == 15


def test_the_size_is_known_before_the_chunk_has_come() -> None:
    seen = Chunked()
    seen.see(b"ffffffffff\r\n")
    assert seen.size == 0xFFFFFFFFFF


@pytest.mark.parametrize(
    "data", [b"\r\n", b"x\r\n", b"-5\r\n", b"0x5\r\n", b"1_0\r\n", b"5\r\nhelloXX5_\r\n", b"1" * 5000]
)
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Chunked().see(data)
