"""untar and unzip: what comes out, and what is refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mfdata import Done, Failed
from mfdata.steps.unarchive import Unarchive, Untar, Unzip
from mfdata.testing import Result, run_step

Files = Mapping[str, bytes]


def tar(files: Files) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def zipped(files: Files) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


Pack = Callable[[Files], bytes]
both = pytest.mark.parametrize(("kind", "pack"), [(Untar, tar), (Unzip, zipped)], ids=["tar", "zip"])


def run(kind: type[Unarchive], folder: Path, data: bytes, **custom: str) -> Result:
    source = folder / "source"
    source.write_bytes(data)
    return run_step(kind, source, custom=custom, folder=folder / "home")


def contents(result: Result) -> list[tuple[str, bytes]]:
    assert isinstance(result.outcome, Done), result.text()
    return [(output.path.name, output.path.read_bytes()) for output in result.outcome.outputs]


def reason_of(result: Result) -> str:
    assert isinstance(result.outcome, Failed), result.outcome
    assert result.outcome.permanent
    assert not result.outcome.traceback
    return result.outcome.reason


@both
def test_each_file_comes_out_under_its_own_name(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    files = {"a.png": os.urandom(100), "deep/er/b.txt": b"text", "other/b.txt": b"", "é 气": b"x"}
    result = run(kind, tmp_path, pack(files))
    wanted = [(name.rpartition("/")[2], content) for name, content in files.items()]
    assert contents(result) == wanted
    assert isinstance(result.outcome, Done)
    assert result.outcome.to == ("switch/main",)


@both
def test_an_empty_archive_ends(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    assert run(kind, tmp_path, pack({})).outcome == Done()


@both
def test_no_name_leaves_the_folder(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    result = run(kind, tmp_path, pack({"../../up.txt": b"1", "/etc/passwd": b"2", "..\\up": b"3"}))
    assert [name for name, _ in contents(result)] == ["up.txt", "passwd", "up"]
    assert not (tmp_path / "up.txt").exists()


@both
def test_what_is_no_name_is_refused(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    assert "not the name of a file" in reason_of(run(kind, tmp_path, pack({"a/..": b"1"})))


@both
def test_too_many_files_are_refused(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    data = pack({str(number): b"" for number in range(11)})
    assert "max_files, 10" in reason_of(run(kind, tmp_path, data, max_files="10"))


@both
def test_too_much_together_is_refused(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    data = pack({str(number): b"x" * 400 for number in range(3)})
    assert "max_size" in reason_of(run(kind, tmp_path, data, max_size="1000"))


def test_a_zip_bomb_is_stopped_in_little_memory(tmp_path: Path) -> None:
    data = zipped({"bomb": b"\0" * (64 * 1024 * 1024)})
    tracemalloc.start()
    try:
        assert "bomb" in reason_of(run(Unzip, tmp_path, data, max_ratio="2"))
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_sparse_tar_bomb_is_stopped(tmp_path: Path) -> None:
    info = tarfile.TarInfo("bomb")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**12), "GNU.sparse.name": "bomb"}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    assert "bomb" in reason_of(run(Untar, tmp_path, made.getvalue()))


def test_a_huge_header_is_not_taken_into_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, 8 * 1024 * 1024
    data = info.tobuf() + b"\0" * info.size + tar({"a": b"1"})
    assert "too large" in reason_of(run(Untar, tmp_path, data))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_or_left_out(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    data = info.tobuf() + tar({"a": b"1"})
    assert "link or a device" in reason_of(run(Untar, tmp_path, data))
    assert contents(run(Untar, tmp_path, data, links="skip")) == [("a", b"1")]


def test_a_link_in_a_zip_is_refused_or_left_out(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("a", b"1")
    assert "link or a device" in reason_of(run(Unzip, tmp_path, made.getvalue()))
    assert contents(run(Unzip, tmp_path, made.getvalue(), links="skip")) == [("a", b"1")]


def test_a_method_that_is_not_bounded_is_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"1")
    assert "method" in reason_of(run(Unzip, tmp_path, made.getvalue()))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"1"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in reason_of(run(Unzip, tmp_path, bytes(data)))


@both
def test_what_is_no_archive_is_refused(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    for data in (b"some text\n" * 100, b"", b"\x1f\x8b"):
        reason_of(run(kind, tmp_path, data))


@both
def test_damage_is_refused(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    data = pack({"a": os.urandom(5000), "b": os.urandom(5000)})
    reason_of(run(kind, tmp_path, data[:4000]))


def test_a_tar_that_is_cut_anywhere_before_its_end_mark_is_refused(tmp_path: Path) -> None:
    data = tar({"a": b"x" * 700, "b": b"", "c": b"y" * 512})
    content = data.rindex(b"y") + 1
    for length in {*range(0, content + 512, 512), *range(content - 600, content + 512, 73), 1536, 1537, 2047}:
        reason_of(run(Untar, tmp_path, data[:length]))
    for length in (content + 512, len(data)):
        assert len(contents(run(Untar, tmp_path, data[:length]))) == 3


@pytest.mark.parametrize("damage", [b"\0" * 512, b"\xff" * 512, b"x"])
def test_a_tar_with_a_damaged_header_in_the_middle_is_refused(damage: bytes, tmp_path: Path) -> None:
    data = bytearray(tar({"a": b"1", "b": b"2", "c": b"3"}))
    data[1024 : 1024 + len(damage)] = damage
    assert "header" in reason_of(run(Untar, tmp_path, bytes(data)))


def test_one_tar_behind_another_is_refused(tmp_path: Path) -> None:
    assert "behind its end" in reason_of(run(Untar, tmp_path, tar({"a": b"1"}) + tar({"b": b"2"})))


def gnu_tar(folder: Path, *words: str) -> bytes:
    subprocess.run(["tar", "-C", folder, "-cf", folder / "made.tar", *words], check=True, capture_output=True)
    return (folder / "made.tar").read_bytes()


@pytest.mark.parametrize("form", ["gnu", "posix"])
@pytest.mark.parametrize("words", [["-V", "a label"], ["-g", "snapshot"]])
def test_what_gnu_tar_notes_of_an_archive_is_passed_over(form: str, words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    words = [str(tmp_path / word) if word == "snapshot" else word for word in words]
    data = gnu_tar(tmp_path, f"--format={form}", *words, "data")
    assert contents(run(Untar, tmp_path, data)) == [("a", b"1")]


@pytest.mark.parametrize("place", [0, 2, -1])
def test_a_tar_with_a_damaged_extended_header_is_refused(place: int, tmp_path: Path) -> None:
    name = "n" * 150
    (tmp_path / name).write_bytes(b"1")
    data = bytearray(gnu_tar(tmp_path, "--format=posix", name))
    size = int(data[124:135], 8)
    assert contents(run(Untar, tmp_path, bytes(data))) == [(name, b"1")]
    data[tarfile.BLOCKSIZE + place % size] = ord("x")
    assert "damaged" in reason_of(run(Untar, tmp_path, bytes(data)))


def test_a_tar_whose_size_in_the_extended_header_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sparse").write_bytes(b"1")
    os.truncate(tmp_path / "sparse", 1 << 20)
    data = bytearray(gnu_tar(tmp_path, "--format=posix", "--sparse", "--sparse-version=0.1", "sparse"))
    place = data.index(b"GNU.sparse.size") - 3
    data[place] = ord("O")
    assert "damaged" in reason_of(run(Untar, tmp_path, bytes(data)))


def test_the_rest_of_a_file_from_another_volume_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("rest")
    info.type = b"M"
    assert "another volume" in reason_of(run(Untar, tmp_path, info.tobuf() + tar({"a": b"1"})))


@both
def test_a_long_name_is_fitted(kind: type[Unarchive], pack: Pack, tmp_path: Path) -> None:
    ((name, content),) = contents(run(kind, tmp_path, pack({"x" * 300 + ".png": b"1"})))
    assert (len(name), name[-4:], content) == (255, ".png", b"1")


def with_count(data: bytes, count: int) -> bytes:
    at = data.rindex(b"PK\5\6")
    return data[: at + 8] + struct.pack("<2H", count, count) + data[at + 12 :]


def without_last(data: bytes) -> bytes:
    """A zip whose list, and its end record, lack the last file, which is still there."""
    at, last = data.rindex(b"PK\5\6"), data.rindex(b"PK\1\2")
    size, offset = struct.unpack_from("<2L", data, at + 12)
    record = bytearray(data[at:])
    struct.pack_into("<2H2L", record, 8, *[data.count(b"PK\1\2") - 1] * 2, size - (at - last), offset)
    return data[:last] + bytes(record)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: with_count(data, 3), "counts 3"),
        (lambda data: with_count(data, 1), "counts 1"),
        (lambda data: data + b"garbage", "behind its end"),
        (lambda data: data + b"\0", "behind its end"),
        (lambda data: b"garbage" + data, "before it"),
        (lambda data: zipped({"c": b"3"}) + data, "before it"),
        (lambda data: data + zipped({"c": b"3"}), "before it"),
        (without_last, "does not name"),
        (lambda data: data[:-1], ""),
    ],
)
def test_a_zip_whose_list_is_not_of_all_of_it_is_refused(
    damage: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    assert said in reason_of(run(Unzip, tmp_path, damage(zipped({"a": b"1" * 50, "b": b"2" * 50}))))


def test_a_zip_may_be_streamed_commented_and_large(tmp_path: Path) -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(data)  # type: ignore[arg-type]

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "ab":
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(b"text" * 100)
        archive.comment = b"a comment" * 5
    assert contents(run(Unzip, tmp_path, stream.data)) == [("a", b"text" * 100), ("b", b"text" * 100)]


def test_a_zip_of_so_many_files_that_it_has_the_large_end_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(6):
            archive.writestr(f"{number}/", b"")
        archive.writestr("a", b"1")
    assert b"PK\6\6" in made.getvalue()
    assert contents(run(Unzip, tmp_path, made.getvalue())) == [("a", b"1")]


def test_folders_as_old_net_writes_them_are_folders(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("data\\", b"")
        archive.writestr("data\\deep\\", b"")
        marked = zipfile.ZipInfo("other")
        marked.external_attr = 0x10
        archive.writestr(marked, b"")
        archive.writestr("data\\deep\\a.txt", b"1")
        archive.writestr("empty", b"")
    assert contents(run(Unzip, tmp_path, made.getvalue())) == [("a.txt", b"1"), ("empty", b"")]


def test_an_empty_file_that_unix_calls_a_file_is_no_folder(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo("empty")
        info.external_attr = 0o100644 << 16 | 0x10
        archive.writestr(info, b"")
    assert contents(run(Unzip, tmp_path, made.getvalue())) == [("empty", b"")]


def test_what_zip_read_from_its_standard_input_is_a_file(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo("-")
        info.external_attr = 0o010600 << 16
        archive.writestr(info, b"1")
    assert contents(run(Unzip, tmp_path, made.getvalue())) == [("-", b"1")]


@both
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), value=st.integers(0, 255))
def test_no_damaged_byte_raises_anything_else(
    kind: type[Unarchive], pack: Pack, tmp_path: Path, place: int, value: int
) -> None:
    data = bytearray(pack({"a": b"text" * 20, "folder/b": b"other" * 20}))
    data[place % len(data)] = value
    outcome = run(kind, tmp_path, bytes(data)).outcome
    assert isinstance(outcome, Done) or (isinstance(outcome, Failed) and not outcome.traceback)
