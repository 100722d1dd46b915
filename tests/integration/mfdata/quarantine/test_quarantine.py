"""Files that are kept: always with a reason, until somebody says what is to become of them."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mfdata.operations.inventory import inventory
from mfdata.quarantine.quarantine import (
    Kept,
    Selection,
    drop,
    expire,
    find_kept,
    forget_reason,
    keep,
    kept_files,
    put_back,
    quarantine_lock,
    with_reason,
    write_reason,
)
from mfdata.recovery.orphan_reasons import OrphanReasons
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import PUT_BACK, Tags, first_tags, new_uid, read_tags, uid_of, write_tags
from mfdata.storage.trace import Trace, events
from mfext.errors import Conflict
from mfext.testing import temporary_home

Patch = pytest.MonkeyPatch

STEP = Target("p", "main")
REASON = {"kind": "failed", "reason": "it is broken", "traceback": "line 1\nline 2"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


@pytest.fixture
def trace(places: Places) -> Trace:
    return Trace(places.home, "command")


def claimed(places: Places, name: bytes = b"some.png") -> tuple[Path, Tags]:
    folder = places.work(STEP) / "1-a"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / waiting_name(name)
    path.write_bytes(b"content")
    tags = first_tags(new_uid(), name, b"incoming")
    write_tags(path, tags, places.sidecars)
    return path, tags


def kept_one(places: Places, name: bytes = b"some.png", **more: bytes) -> Kept:
    path, tags = claimed(places, name)
    keep(places, path, STEP, tags | {f"latest.core.{key}": value for key, value in more.items()}, REASON)
    (found,) = kept_files(places)
    return found


def test_a_kept_file_has_its_reason_beside_it(places: Places) -> None:
    path, tags = claimed(places, b"caf\xe9")
    where = keep(places, path, STEP, tags, REASON)
    assert where == places.quarantine(STEP) / path.name
    assert where.read_bytes() == b"content"
    (found,) = kept_files(places)
    assert (found.path, found.target, found.kind, found.uid) == (where, STEP, "failed", uid_of(tags))
    assert os.fsencode(found.name) == b"caf\xe9"
    assert found.reason["traceback"] == "line 1\nline 2"
    assert found.time > 0


def test_where_files_survive_a_power_cut_so_do_reasons(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr("mfdata.quarantine.quarantine.sync_file", lambda path: synced.append(path.read_bytes()))
    path, tags = claimed(places)
    keep(places, path, STEP, tags, REASON, durable=True)
    assert [json.loads(reason)["kind"] for reason in synced] == ["failed"]


def test_tags_that_changed_are_kept_with_the_file(places: Places) -> None:
    found = kept_one(places, attempt=b"3")
    assert read_tags(found.path, places.sidecars)["latest.core.attempt"] == b"3"


def test_another_name_of_the_same_file_does_not_get_its_tags(places: Places) -> None:
    path, tags = claimed(places)
    (places.home.path / "other").hardlink_to(path)
    where = keep(places, path, STEP, tags | {"more": b"1"}, REASON)
    assert read_tags(places.home.path / "other", places.sidecars) == tags
    assert read_tags(where, places.sidecars)["more"] == b"1"


@pytest.mark.parametrize("name", [b"a.json", b"a.json.json"])
def test_a_file_that_is_called_like_a_reason_is_none(places: Places, name: bytes) -> None:
    assert kept_one(places, name).name == os.fsdecode(name)


def test_a_reason_whose_file_is_gone_counts_for_nothing(places: Places) -> None:
    kept_one(places).path.unlink()
    assert list(kept_files(places)) == []


def test_a_reason_that_cannot_be_read_hides_no_file(places: Places) -> None:
    found = kept_one(places)
    found.path.with_name(f"{found.path.name}.json").write_text("{")
    (broken,) = kept_files(places)
    assert (broken.path, broken.kind, broken.reason) == (found.path, "unknown", {})


def test_a_file_that_is_put_back_starts_afresh(places: Places, trace: Trace) -> None:
    found = kept_one(places, attempt=b"3", crashes=b"2")
    assert put_back(places, found, trace) == STEP
    (waiting,) = places.queue(STEP).iterdir()
    assert waiting.name[:18] == found.path.name[:18]
    assert waiting.name[31:] == found.path.name[31:]
    tags = read_tags(waiting, places.sidecars)
    assert float(tags.pop(PUT_BACK)) == pytest.approx(time.time(), abs=60)
    assert tags == first_tags(found.uid, b"some.png", b"incoming")
    assert list(places.quarantine(STEP).iterdir()) == []
    (event,) = events(places.home)
    assert (event["event"], event["uid"], event["from"], event["to"]) == (
        "replayed",
        found.uid,
        "quarantine",
        ["p/main"],
    )


def test_a_file_may_be_given_to_another_step(places: Places, trace: Trace) -> None:
    put_back(places, kept_one(places), trace, Target("q", "main"))
    assert len(list(places.queue(Target("q", "main")).iterdir())) == 1


def test_a_file_that_is_dropped_leaves_a_line(places: Places, trace: Trace) -> None:
    found = kept_one(places)
    drop(places, found, trace, "somebody")
    assert list(places.quarantine(STEP).iterdir()) == []
    (event,) = events(places.home)
    assert (event["event"], event["uid"], event["rule"]) == ("dropped", found.uid, "somebody")


def test_what_fails_again_at_once_keeps_its_new_reason(places: Places, trace: Trace, monkeypatch: Patch) -> None:
    """Who puts it back is slow, and the step is quick."""
    found = kept_one(places)

    def fail_first(path: Path) -> None:
        (waiting,) = places.queue(STEP).iterdir()
        again = waiting.rename(places.work(STEP) / "1-a" / waiting.name)
        keep(places, again, STEP, read_tags(again, places.sidecars), {**REASON, "reason": "again"})
        forget_reason(path)

    monkeypatch.setattr("mfdata.quarantine.quarantine.forget_reason", fail_first)
    put_back(places, found, trace)
    (one,) = kept_files(places)
    assert (one.uid, one.why) == (found.uid, "again")
    assert len(list(places.quarantine(STEP).iterdir())) == 2


@pytest.mark.parametrize("first", ["put back", "dropped"])
def test_two_that_want_the_same_file_do_not_both_get_it(places: Places, trace: Trace, first: str) -> None:
    found = kept_one(places)
    put_back(places, found, trace) if first == "put back" else drop(places, found, trace, "one")
    assert put_back(places, found, trace) is None
    assert not drop(places, found, trace, "another")
    assert not expire(places, found, trace, "rule")
    assert [event["event"] for event in events(places.home)] == ["replayed" if first == "put back" else "dropped"]


def test_who_is_at_work_on_the_quarantine_is_waited_for_and_then_told(places: Places, trace: Trace) -> None:
    found = kept_one(places)
    with quarantine_lock(places):
        with pytest.raises(Conflict, match="another command has been at work on the quarantine"):
            expire(places, found, trace, "rule")
        with pytest.raises(Conflict, match=r"more than 0\.1 s"), quarantine_lock(places, wait=0.1):
            pass
    assert list(events(places.home)) == []
    assert expire(places, found, trace, "rule")


@pytest.mark.parametrize("then", ["dropped", "put back"])
def test_who_died_dropping_a_file_leaves_the_sums_true(
    places: Places, trace: Trace, then: str, monkeypatch: Patch
) -> None:
    """The line was written, the file is still there: it is dropped again, or put back."""
    found = kept_one(places)
    trace.write({"event": "accepted", "uid": found.uid, "name": found.name, "to": ["p/main"]})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mfdata.quarantine.quarantine.discard", die)
        with pytest.raises(KeyboardInterrupt):
            drop(places, found, trace, "somebody")
    drop(places, found, trace, "somebody") if then == "dropped" else put_back(places, found, trace)
    counted = inventory(places.home)
    assert counted["balanced"], counted
    assert counted["dropped"] == (1 if then == "dropped" else 0)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_disk_a_file_can_be_dropped_and_the_line_is_written_in_its_room(
    places: Places, trace: Trace, monkeypatch: Patch, code: int
) -> None:
    found, write = kept_one(places), trace.write

    def write_if_there_is_room(*told: Mapping[str, object]) -> None:
        if found.path.exists():
            raise OSError(code, os.strerror(code))
        write(*told)

    monkeypatch.setattr(trace, "write", write_if_there_is_room)
    assert drop(places, found, trace, "somebody")
    assert list(places.quarantine(STEP).iterdir()) == []
    assert [event["event"] for event in events(places.home)] == ["dropped"]


def test_a_line_that_cannot_be_written_for_another_reason_keeps_the_file(
    places: Places, trace: Trace, monkeypatch: Patch
) -> None:
    found = kept_one(places)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(trace, "write", refuse)
    with pytest.raises(OSError, match="Input/output"):
        drop(places, found, trace, "somebody")
    assert [one.uid for one in kept_files(places)] == [found.uid]


def test_a_file_that_is_put_back_without_attributes_keeps_its_tags(
    places: Places, trace: Trace, monkeypatch: Patch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for call in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, call, refuse)
    found = kept_one(places)
    put_back(places, found, trace)
    (waiting,) = places.queue(STEP).iterdir()
    assert uid_of(read_tags(waiting, places.sidecars)) == found.uid
    assert [path.name for path in places.sidecars.iterdir()] == [waiting.name]


# ── a reason without a file, a file without a reason ──────────────────────────────────────────────────────────────────


@pytest.fixture
def reasons(places: Places, monkeypatch: Patch) -> OrphanReasons:
    monkeypatch.setattr("mfdata.recovery.sweeper.EVERY_S", 0)
    monkeypatch.setattr("mfdata.recovery.sweeper.LOOK_COST", 0)
    return OrphanReasons(places)


def test_a_reason_whose_file_went_ends_in_the_second_look(places: Places, reasons: OrphanReasons) -> None:
    kept_one(places).path.unlink()
    path, tags = claimed(places, b"a.json")
    keep(places, path, STEP, tags, REASON)
    assert [reasons.look() for _ in range(3)] == [0, 1, 0]
    (one,) = kept_files(places)
    assert one.name == "a.json"
    assert len(list(places.quarantine(STEP).iterdir())) == 2


def test_a_reason_that_is_written_anew_is_young_again(places: Places, reasons: OrphanReasons) -> None:
    found = kept_one(places)
    found.path.unlink()
    assert reasons.look() == 0
    write_reason(found.path, found.reason)
    assert [reasons.look(), reasons.look()] == [0, 1]


@pytest.mark.parametrize("name", [b"some.png", b"a.json"])
def test_a_file_that_lost_its_reason_is_seen_again(places: Places, reasons: OrphanReasons, name: bytes) -> None:
    found = kept_one(places, name)
    found.path.with_name(f"{found.path.name}.json").unlink()
    assert list(kept_files(places)) == []
    assert reasons.look() == 1
    (one,) = kept_files(places)
    assert (one.uid, one.name, one.kind) == (found.uid, found.name, "unknown")
    assert "reason was lost" in one.why


def test_nobody_looks_while_somebody_is_at_work(places: Places, reasons: OrphanReasons) -> None:
    found = kept_one(places)
    found.path.with_name(f"{found.path.name}.json").unlink()
    with quarantine_lock(places):
        assert reasons.look() == 0
    assert reasons.look() == 1


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(names=("UID",)), True),
        (Selection(names=("x", "a.png")), True),
        (Selection(names=("WAITING",)), True),
        (Selection(names=("b.png",)), False),
        (Selection(plugin="p", kind="failed", older_than=10), True),
        (Selection(plugin="q"), False),
        (Selection(kind="poison"), False),
        (Selection(older_than=11), False),
    ],
)
def test_a_selection_holds_for_what_meets_all_of_it(selection: Selection, meant: bool) -> None:
    kept = Kept(Path("WAITING"), STEP, {"uid": "UID", "name": "a.png", "kind": "failed", "time": 100})
    assert selection.holds(kept, now=110) is meant


def test_what_was_put_here_while_the_clock_was_ahead_is_meant_at_once() -> None:
    kept = Kept(Path("WAITING"), STEP, {"uid": "UID", "name": "a.png", "kind": "failed", "time": 10_900})
    assert Selection().holds(kept, now=100)
    assert Selection(names=("UID",)).holds(kept, now=100)
    assert not Selection(older_than=1).holds(kept, now=100)  # its age is not known: nothing is dropped for it


# ── the index ──────────────────────────────────────────────────────────────────────────────────────────────────────


def found_names(places: Places, selection: Selection | None = None) -> list[str]:
    return sorted(kept.name for kept in find_kept(places, selection or Selection(), 0.0))


def index_of(places: Places) -> Path:
    return places.home.run / "quarantine" / STEP.folder


def fill(places: Places, count: int) -> list[Path]:
    found = []
    for number in range(count):
        path, tags = claimed(places, b"file%d" % number)
        found.append(keep(places, path, STEP, tags, REASON))
    return found


def test_what_is_found_by_the_index_is_what_is_there(places: Places) -> None:
    kept = fill(places, 3)
    assert found_names(places) == ["file0", "file1", "file2"]
    kept[0].unlink()
    kept[0].with_name(f"{kept[0].name}.json").unlink()
    assert found_names(places) == ["file1", "file2"]
    index_of(places).unlink()
    assert found_names(places) == ["file1", "file2"]
    index_of(places).write_bytes(b"cut off\n\0\xff\t{\n" + kept[1].name.encode() + b"\t{}garbage}\n")
    assert found_names(places) == ["file1", "file2"]


def test_a_file_is_found_by_its_uid_its_name_or_its_name_on_disk_without_opening_others(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = fill(places, 5)
    whole = {one.path: one for one in kept_files(places)}
    monkeypatch.setattr("mfdata.quarantine.quarantine._read_reason", lambda path: pytest.fail(f"{path} was opened"))
    wanted = whole[kept[3]]
    for word in (wanted.uid, "file3", kept[3].name):
        (one,) = find_kept(places, Selection(names=(word,)), 0.0)
        assert (one.path, one.uid, one.name, one.kind, one.why) == (
            wanted.path,
            wanted.uid,
            wanted.name,
            wanted.kind,
            wanted.why,
        )


def test_names_that_json_escapes_are_found(places: Places) -> None:
    path, tags = claimed(places, b'caf\xe9 "quoted"')
    keep(places, path, STEP, tags, REASON)
    (one,) = find_kept(places, Selection(names=(os.fsdecode(b'caf\xe9 "quoted"'),)), 0.0)
    assert with_reason(one).reason["traceback"] == "line 1\nline 2"  # type: ignore[union-attr]


def test_an_index_with_much_that_is_gone_or_missing_is_written_anew(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfdata.quarantine.index._STALE", 2)
    kept = fill(places, 6)
    for path in kept[:4]:
        path.unlink()
        path.with_name(f"{path.name}.json").unlink()
    assert found_names(places) == ["file4", "file5"]
    assert len(index_of(places).read_bytes().splitlines()) == 2
    index_of(places).unlink()
    fill(places, 3)
    index_of(places).unlink()
    assert len(found_names(places)) == 5
    assert len(index_of(places).read_bytes().splitlines()) == 5


def test_a_full_disk_keeps_no_file_out_of_quarantine_for_the_index(places: Places) -> None:
    index_of(places).parent.mkdir(parents=True)
    index_of(places).symlink_to("/dev/full")
    fill(places, 1)
    index_of(places).unlink()
    assert found_names(places) == ["file0"]
