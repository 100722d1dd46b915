"""ungzip, unbzip2, unxz and unzstd: what comes out, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mfdata import Done, Failed
from mfdata.steps.uncompress import CHUNK, Gunzip, Unbzip2, Uncompress, Ungzip, Unxz, Unzstd, shorter_name, uncompressed
from mfdata.testing import Result, run_step

Compress = Callable[[bytes], bytes]
KINDS: list[tuple[type[Uncompress], Compress, str]] = [
    (Ungzip, gzip.compress, ".gz"),
    (Unbzip2, bz2.compress, ".bz2"),
    (Unxz, lzma.compress, ".xz"),
    (Unzstd, zstandard.ZstdCompressor(write_checksum=True).compress, ".zst"),
]
all_kinds = pytest.mark.parametrize(("kind", "compress", "suffix"), KINDS, ids=["gzip", "bzip2", "xz", "zstd"])
#: Larger than a chunk, and compressible only by half.
CONTENT = b"".join(bytes([n % 251, os.urandom(1)[0]]) for n in range(CHUNK))


def run(kind: type[Uncompress], folder: Path, data: bytes, name: str = "x", **custom: str) -> Result:
    source = folder / "source"
    source.write_bytes(data)
    return run_step(kind, source, name=name, custom=custom, folder=folder / "home")


def content_of(result: Result, name: str) -> bytes:
    assert isinstance(result.outcome, Done), result.outcome
    return result.outputs[name].read_bytes()


def reason_of(result: Result) -> str:
    assert isinstance(result.outcome, Failed), result.outcome
    assert result.outcome.permanent
    assert not result.outcome.traceback
    return result.outcome.reason


@all_kinds
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "one byte", "large"])
def test_the_content_comes_out(
    kind: type[Uncompress], compress: Compress, suffix: str, content: bytes, tmp_path: Path
) -> None:
    assert content_of(run(kind, tmp_path, compress(content), f"radar 1{suffix}"), "radar 1") == content


@all_kinds
def test_several_members_are_one_file(kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path) -> None:
    members = compress(CONTENT) + compress(b"") + compress(b"end")
    assert content_of(run(kind, tmp_path, members), "x") == CONTENT + b"end"


@all_kinds
def test_zeros_behind_the_end_are_padding(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    padded = compress(b"one") + b"\0" * (2 * CHUNK + 3) + compress(b"two") + b"\0" * 4
    assert content_of(run(kind, tmp_path, padded), "x") == b"onetwo"


@all_kinds
def test_other_things_behind_the_end_are_refused(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    for garbage in (b"x", b"garbage", compress(b"y")[:2] + b"!" * 40):
        reason = reason_of(run(kind, tmp_path, compress(CONTENT) + garbage))
        assert "behind its end" in reason or "damaged" in reason or "cut off" in reason


@all_kinds
def test_a_file_that_is_cut_off_is_refused_wherever_it_is_cut(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    whole = compress(b"some content that is compressed")
    for length in range(6, len(whole)):
        assert "cut off" in reason_of(run(kind, tmp_path, whole[:length]))


@all_kinds
def test_a_second_member_that_is_cut_off_is_refused_wherever_it_is_cut(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    first, second = compress(b"first" * 50), compress(b"second" * 50)
    for length in range(1, len(second)):
        reason_of(run(kind, tmp_path, first + second[:length]))


@all_kinds
def test_a_large_file_that_is_cut_off_is_refused(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    assert "cut off" in reason_of(run(kind, tmp_path, compress(CONTENT)[:-1]))


@all_kinds
def test_damage_is_refused(kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path) -> None:
    data = bytearray(compress(CONTENT))
    data[len(data) // 2] ^= 0xFF
    assert "damaged" in reason_of(run(kind, tmp_path, bytes(data)))


@all_kinds
def test_another_kind_of_file_is_refused(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    assert reason_of(run(kind, tmp_path, b"")) == "it is empty"
    for data in (b"\x1f", b"PNG and so on", b"\0" * 100):
        assert reason_of(run(kind, tmp_path, data)) == f"it is not a {kind.kind} file"


@all_kinds
def test_a_bomb_is_stopped_by_its_ratio(
    kind: type[Uncompress], compress: Compress, suffix: str, tmp_path: Path
) -> None:
    bomb = compress(b"\0" * (40 * 1024 * 1024))
    assert "max_ratio" in reason_of(run(kind, tmp_path, bomb, max_ratio="10"))


def test_a_small_file_may_have_any_ratio(tmp_path: Path) -> None:
    zeros = b"\0" * 10_000_000
    assert content_of(run(Ungzip, tmp_path, gzip.compress(zeros), max_ratio="1"), "x") == zeros


def test_a_bomb_is_stopped_by_its_size(tmp_path: Path) -> None:
    data = gzip.compress(b"x" * 1001)
    assert "max_size" in reason_of(run(Ungzip, tmp_path, data, max_size="1000"))
    assert run(Ungzip, tmp_path, data, max_size="1001").done


def test_memory_does_not_grow_with_the_file() -> None:
    source = io.BytesIO(gzip.compress(b"\0" * 100_000_000))
    tracemalloc.start()
    try:
        assert sum(map(len, uncompressed(source, "gzip", (b"\x1f\x8b",), Gunzip))) == 100_000_000
        assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK
    finally:
        tracemalloc.stop()


def test_the_destination_is_the_switch_unless_told_otherwise(tmp_path: Path) -> None:
    data = gzip.compress(b"x")
    assert run(Ungzip, tmp_path, data).outcome.to == ("switch/main",)  # type: ignore[union-attr]
    assert run(Ungzip, tmp_path, data, destination="a/b").outcome.to == ("a/b",)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "shorter"),
    [
        ("a.grib.gz", "a.grib"),
        ("A.GZ", "A"),
        ("a.tgz", "a.tar"),
        ("a.gzip", "a.gzip"),
        ("nothing", "nothing"),
        (".gz", ".gz"),
        ("..gz", "..gz"),
        ("...gz", "...gz"),
        ("-l .gz", "-l "),
        ("\udce9.gz", "\udce9"),
    ],
)
def test_the_suffix_is_taken_off(name: str, shorter: str) -> None:
    assert shorter_name(name, Ungzip.suffixes) == shorter


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), st.integers(0, 9))
def test_whatever_is_compressed_comes_out(members: list[bytes], level: int) -> None:
    data = b"".join(gzip.compress(member, level) for member in members)
    assert b"".join(uncompressed(io.BytesIO(data), "gzip", (b"\x1f\x8b",), Gunzip)) == b"".join(members)


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_no_byte_is_lost_where_chunks_meet(size: int) -> None:
    content = os.urandom(size)
    for level in (0, 6):
        packer = zlib.compressobj(level, wbits=31)
        data = packer.compress(content) + packer.flush()
        assert b"".join(uncompressed(io.BytesIO(data), "gzip", (b"\x1f\x8b",), Gunzip)) == content


def test_without_its_library_a_step_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zstandard.ZstdCompressor().compress(b"content")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ImportError, match="zstandard"):
        run(Unzstd, tmp_path, data)


@pytest.mark.parametrize("number", [0, 15])
def test_frames_of_zstd_that_are_to_be_passed_over_are(number: int, tmp_path: Path) -> None:
    passed = bytes([0x50 + number]) + b"\x2a\x4d\x18\x04\0\0\0" + b"1234"
    frame = zstandard.ZstdCompressor().compress(b"abc")
    for data, content in ((passed + frame, b"abc"), (frame + passed + frame, b"abcabc"), (frame + passed, b"abc")):
        assert content_of(run(Unzstd, tmp_path, data), "x") == content
    assert "cut off" in reason_of(run(Unzstd, tmp_path, frame + passed[:-1]))
