from __future__ import annotations

import pytest

from mfserv.router.chunked import Chunked, Sized

BODY = b"5\r\nhello\r\n0a;note=1\r\n0123456789\r\n0\r\nTrailer: 99\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_the_size_is_the_same_however_it_comes(step: int) -> None:
    seen = Chunked()
    for at in range(0, len(BODY), step):
        seen.pass_on(BODY[at : at + step])
    assert seen.size == 15


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("behind", [b"\r\n", b"Trailer: 99\r\nOther: 1\r\n\r\n", b"\r\nGET / HTTP/1.1\r\n\r\n"])
def test_a_body_ends_with_its_last_chunk(step: int, behind: bytes) -> None:
    seen, chunks = Chunked(), b"5\r\nhello\r\n0;last\r\n"
    whole = chunks + behind
    assert b"".join(seen.pass_on(whole[at : at + step]) for at in range(0, len(whole), step)) == chunks + b"\r\n"
    assert seen.has_ended


def test_the_size_is_known_before_the_chunk_has_come() -> None:
    seen = Chunked()
    seen.pass_on(b"ffffffffff\r\n")
    assert seen.size == 0xFFFFFFFFFF


@pytest.mark.parametrize(
    "data", [b"\r\n", b"x\r\n", b"-5\r\n", b"0x5\r\n", b"1_0\r\n", b"5\r\nhelloXX5_\r\n", b"1" * 5000]
)
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Chunked().pass_on(data)


@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_body_whose_length_is_said_ends_there(step: int) -> None:
    seen, whole = Sized(5), b"helloGET / HTTP/1.1"
    assert b"".join(seen.pass_on(whole[at : at + step]) for at in range(0, len(whole), step)) == b"hello"
    assert (seen.size, seen.has_ended) == (5, True)
