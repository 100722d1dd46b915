"""untar and unzip: what comes out, and what is refused."""

from __future__ import annotations

import io
import os
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


@both
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), value=st.integers(0, 255))
def test_no_damaged_byte_raises_anything_else(
    kind: type[Unarchive], pack: Pack, tmp_path: Path, place: int, value: int
) -> None:
    data = bytearray(pack({"a": b"text" * 20, "folder/b": b"other" * 20}))
    data[place % len(data)] = value
    outcome = run(kind, tmp_path, bytes(data)).outcome
    assert isinstance(outcome, Done) or (isinstance(outcome, Failed) and not outcome.traceback)
