from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from functools import partial
from pathlib import Path

import pytest

from mfext.fs import atomic
from mfext.fs.atomic import replace_file, replace_link, replacing_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("data", "content"), [("é\n", "é\n".encode()), (b"\0\xff", b"\0\xff"), ("", b"")])
def test_a_file_is_made_with_its_content(tmp_path: Path, data: str | bytes, content: bytes) -> None:
    replace_file(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == content
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_is_as_asked_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        replace_file(tmp_path / "a", "x", mode=mode)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "a") == mode


def test_a_file_that_is_readable_by_all_is_not_so_afterwards(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("public")
    (tmp_path / "a").chmod(0o644)
    replace_file(tmp_path / "a", "secret", mode=0o600)
    assert mode_of(tmp_path / "a") == 0o600


def test_a_reader_finds_the_whole_old_or_the_whole_new_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [bytes([number]) * 100_000 for number in range(2)]
    replace_file(path, contents[0])
    ended = threading.Event()

    def write() -> None:
        for number in range(300):
            replace_file(path, contents[number % 2])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    read = set()
    while not ended.is_set():
        read.add(path.read_bytes())
    writer.join()
    assert read <= set(contents)


def test_two_writers_at_once_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [bytes([number]) * 50_000 for number in range(4)]

    def write(content: bytes) -> None:
        for _ in range(50):
            replace_file(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["a"]


def test_a_failed_write_leaves_the_former_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file(tmp_path / "a", "before")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "a", "after")
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_an_error_in_the_block_leaves_the_former_file(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", "before")
    with pytest.raises(FileNotFoundError), replacing_file(tmp_path / "a") as unfinished:
        unfinished.write_bytes((tmp_path / "gone").read_bytes())
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_a_block_that_ends_has_replaced_the_file(tmp_path: Path) -> None:
    with replacing_file(tmp_path / "a", mode=0o600) as unfinished:
        unfinished.write_text("whole")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_text() == "whole"
    assert mode_of(tmp_path / "a") == 0o600


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127], ids=["ascii", "utf-8"])
def test_the_longest_name_can_be_replaced(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, "x")
    assert names(tmp_path) == [name]


def test_content_and_name_are_brought_to_disk_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[str] = []
    rename = os.rename

    def note(act: str, _path: Path) -> None:
        acts.append(act)

    def note_rename(source: str, target: str) -> None:
        acts.append("rename")
        rename(source, target)

    monkeypatch.setattr(atomic, "sync_file", partial(note, "file"))
    monkeypatch.setattr(atomic, "sync_folder", partial(note, "folder"))
    monkeypatch.setattr(os, "rename", note_rename)
    replace_file(tmp_path / "a", "x", durable=True)
    assert acts == ["file", "rename", "folder"]


def test_a_link_takes_the_place_of_another(tmp_path: Path) -> None:
    replace_link(tmp_path / "link", "one")
    replace_link(tmp_path / "link", "two")
    assert str((tmp_path / "link").readlink()) == "two"
    assert names(tmp_path) == ["link"]


def test_what_dead_writers_left_is_taken_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".a.~").write_text("much more than what comes")
    (tmp_path / ".link.~").symlink_to("gone")
    replace_file(tmp_path / "a", "x")
    replace_link(tmp_path / "link", "two")
    assert (tmp_path / "a").read_text() == "x"
    assert names(tmp_path) == ["a", "link"]


def test_a_killed_writer_leaves_one_name_at_most_and_no_lock(tmp_path: Path) -> None:
    for _ in range(3):
        writer = os.fork()
        if not writer:
            with replacing_file(tmp_path / "a") as unfinished:
                unfinished.write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(writer, 0)
    assert names(tmp_path) == [".a.~"]
    replace_file(tmp_path / "a", "whole")
    assert names(tmp_path) == ["a"]


def test_a_link_at_the_hidden_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / ".a.~").symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(tmp_path / "a", "x")
    assert (tmp_path / "precious").read_text() == "as it was"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "no" / "a", "x")
    with pytest.raises(FileNotFoundError):
        replace_link(tmp_path / "no" / "a", "x")
