"""What waits for a plugin that is uninstalled goes where it was said, whatever else moves it meanwhile."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from mfdata.module import MODULE
from mfdata.operations.uninstall import after_uninstall
from mfdata.quarantine.quarantine import kept_files
from mfdata.queue.delayed import Delays
from mfdata.storage.names import waiting_name
from mfdata.storage.places import LOCK, Places, Target
from mfdata.storage.tags import Tags, first_tags, new_uid, read_tags, uid_of, write_tags
from mfdata.storage.trace import life
from mfext.configuration.module_config import module_config
from mfext.testing import temporary_home

GONE, OTHER = Target("gone", "main"), Target("other", "main")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


@pytest.fixture
def without_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for call in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, call, refuse)


def put(places: Places, folder: Path, due: float | None = None) -> str:
    """A file in *folder*, delayed until *due*; its uid."""
    folder.mkdir(parents=True, exist_ok=True)
    uid, name = new_uid(), waiting_name(b"file")
    path = folder / name
    path.write_bytes(uid.encode())
    write_tags(path, first_tags(uid, b"file", b"incoming"), places.sidecars)
    if due is not None:
        path.rename(folder / f"{int(due * 1e6):016d}-{name}")
    return uid


def uninstall(places: Places, move_to: str = "") -> None:
    after_uninstall(places.home, module_config(MODULE, places.home), "gone", move_to, not move_to)


def uids_in(places: Places, folder: Path) -> set[str]:
    return {uid_of(read_tags(path, places.sidecars)) for path in folder.iterdir()}


@pytest.mark.parametrize("move_to", ["other/main", ""])
@pytest.mark.usefixtures("without_attributes")
def test_files_in_every_state_go_with_their_tags(places: Places, move_to: str) -> None:
    worker = places.work(GONE) / "4000000-a"
    uids = {
        put(places, places.queue(GONE)),
        put(places, places.delayed(GONE), time.time() + 600),
        put(places, worker),
    }
    (worker / LOCK).touch()
    uninstall(places, move_to)
    if move_to:
        assert uids_in(places, places.queue(OTHER)) == uids
    else:
        assert {one.uid for one in kept_files(places)} == uids
        assert uids_in(places, places.quarantine(GONE)) - {""} == uids
    assert [*places.queue(GONE).iterdir(), *places.delayed(GONE).iterdir(), *places.work(GONE).iterdir()] == []


def test_a_retry_that_falls_due_meanwhile_is_met_in_the_queue(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """The observer is alive, and may put back what is delayed at any moment."""
    uids = {put(places, places.delayed(GONE), time.time() - number) for number in range(1, 4)}
    first = [True]

    def read(path: Path, sidecars: Path) -> Tags:
        if first:
            first.clear()
            Delays(places).put_back()
        return read_tags(path, sidecars)

    monkeypatch.setattr("mfdata.operations.uninstall.read_tags", read)
    uninstall(places, "other/main")
    assert uids_in(places, places.queue(OTHER)) == uids
    for uid in uids:
        assert [event["event"] for event in life(places.home, uid)] == ["moved"]


def test_what_was_cut_off_is_ended_by_whoever_repeats_it(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    uids = {put(places, places.queue(GONE)), put(places, places.delayed(GONE), time.time())}
    left = [1]

    def rename_once(self: Path, target: Path) -> Path:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        os.rename(self, target)  # noqa: PTH104, the other one is replaced
        return Path(target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename_once)
        with pytest.raises(KeyboardInterrupt):
            uninstall(places, "other/main")
    uninstall(places, "other/main")
    assert uids_in(places, places.queue(OTHER)) == uids
