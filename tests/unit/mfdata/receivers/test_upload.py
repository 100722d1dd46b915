"""A file that is being received."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfdata.receivers.ftp.data_channel import answer_for
from mfdata.receivers.upload import PREFIX, TooLarge, Upload, discard_leftovers


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[Upload]:
    upload = made(tmp_path)
    yield upload
    upload.close()


def made(folder: Path, name: str = "wanted", max_size: int = 1000) -> Upload:
    return Upload(str(folder / name), max_size, folder.parent / "sidecars")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_hidden_until_it_appears(upload: Upload, tmp_path: Path) -> None:
    upload.write(b"one, ")
    upload.write(b"two")
    assert [name.startswith(PREFIX) for name in names(tmp_path)] == [True]
    upload.complete()
    assert upload.publish(tmp_path / "wanted")
    assert names(tmp_path) == ["wanted"]
    assert (tmp_path / "wanted").read_bytes() == b"one, two"


def test_nobody_holds_it_open_for_writing_when_it_appears(upload: Upload, tmp_path: Path) -> None:
    import fcntl

    upload.complete()
    upload.publish(tmp_path / "wanted")
    with (tmp_path / "wanted").open("rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)  # refused while there is a writer


def test_it_never_replaces_unless_told_so(upload: Upload, tmp_path: Path) -> None:
    (tmp_path / "wanted").write_bytes(b"waits")
    upload.write(b"new")
    upload.complete()
    assert not upload.publish(tmp_path / "wanted")
    assert (tmp_path / "wanted").read_bytes() == b"waits"
    upload.replace(tmp_path / "wanted")
    assert (tmp_path / "wanted").read_bytes() == b"new"
    assert names(tmp_path) == ["wanted"]


def test_what_never_appears_is_gone(upload: Upload, tmp_path: Path) -> None:
    upload.write(b"half")
    upload.close()
    upload.close()
    assert names(tmp_path) == []


def test_it_may_not_be_too_large(tmp_path: Path) -> None:
    upload = made(tmp_path, max_size=5)
    upload.write(b"12345")
    with pytest.raises(TooLarge):
        upload.write(b"6")
    assert isinstance(upload.fault, TooLarge)
    upload.close()


def test_what_cannot_be_written_is_remembered(upload: Upload) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            upload.write(b"x" * 11)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert upload.fault is not None
    assert upload.fault.errno == errno.EFBIG


def test_large_files_are_brought_to_disk_on_the_way(tmp_path: Path) -> None:
    upload = made(tmp_path, max_size=100_000_000)
    block = os.urandom(1_000_000)
    for _ in range(40):
        upload.write(block)
    upload.complete()
    assert upload.publish(tmp_path / "wanted")
    assert (tmp_path / "wanted").read_bytes() == block * 40


def test_leftovers_of_the_dead_are_discarded_and_those_of_the_living_kept(upload: Upload, tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}dead").write_bytes(b"half")
    (tmp_path / "other").write_bytes(b"x")
    assert discard_leftovers(tmp_path, tmp_path.parent / "sidecars") == 1
    assert names(tmp_path) == [upload.path.name, "other"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "452"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "452"),
        (TooLarge(errno.EFBIG, "larger than 5 bytes"), "552"),
        (PermissionError(errno.EACCES, "Permission denied"), "550"),
        (OSError(errno.EROFS, "Read-only file system"), "550"),
        (OSError(errno.EIO, "Input/output error"), "451"),
        (OSError(errno.EMFILE, "Too many open files"), "451"),
        (OSError(), "451"),
    ],
)
def test_each_fault_has_its_answer(error: OSError, code: str) -> None:
    assert answer_for(error).startswith(code)
