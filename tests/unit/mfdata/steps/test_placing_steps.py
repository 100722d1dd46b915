"""archive, move, copy and delete: what becomes of the file."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfdata import Done, Failed, File, Step
from mfdata.config import Safety, StepConfig
from mfdata.delivery.transaction import remove_transaction
from mfdata.quarantine import quarantine
from mfdata.queue.local import LocalQueue
from mfdata.steps.archive import Archive
from mfdata.steps.copy import Copy
from mfdata.steps.delete import Delete
from mfdata.steps.move import Move
from mfdata.storage import placement as placing_functions
from mfdata.storage.names import prepared_path, waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import ATTRIBUTE, first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import Trace, life
from mfdata.testing import Result, run_step
from mfdata.worker.worker import Worker
from mfext.errors import ConfigError
from mfext.section import Config, FreeSection
from mfext.testing import temporary_home


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "radar 1.png"
    path.write_bytes(b"content")
    return path


def run(kind: type[Step], source: Path, **keys: str) -> Result:
    custom = {key: value for key, value in keys.items() if key not in ("name", "uid")}
    tags = {"first.core.original_uid": keys["uid"].encode()} if "uid" in keys else {}
    return run_step(kind, source, custom=custom, tags=tags, name=keys.get("name", ""), folder=source.parent / "home")


def destination(result: Result) -> Path:
    assert isinstance(result.outcome, Done), result.outcome
    (to,) = result.outcome.to
    assert isinstance(to, Path)
    return to


def test_the_archive_is_below_the_home_by_day_and_uid(source: Path) -> None:
    days = {time.strftime("%Y%m%d")}
    result = run(Archive, source, uid="u1")
    days.add(time.strftime("%Y%m%d"))  # midnight may come meanwhile
    assert destination(result) in {source.parent / "home/var/archive" / day / "u1" for day in days}


def test_the_archive_writes_the_tags_beside_the_file(source: Path) -> None:
    source = source.rename(source.with_name("new\nline \udce9"))
    result = run(Archive, source, uid="u1")
    beside = destination(result).with_name("u1.tags").read_bytes().splitlines()
    assert b"first.core.original_basename = new\\nline \xe9" in beside
    assert b"first.core.original_dirname = incoming" in beside
    assert beside == sorted(beside)


def test_the_archive_keeps_no_tags_when_told_so(source: Path) -> None:
    to = destination(run(Archive, source, keep_tags_suffix="", dest_dir=str(source.parent / "kept")))
    assert not to.parent.exists()


def test_a_long_name_leaves_room_for_the_tags_beside_it(source: Path) -> None:
    to = destination(run(Archive, source, name="a" * 255, dest_basename="{ORIGINAL_BASENAME}"))
    assert to.with_name(to.name + ".tags").exists()


@pytest.mark.parametrize("kind", [Archive, Move])
def test_the_mode_can_be_forced(kind: type[Step], source: Path) -> None:
    result = run(kind, source, dest_dir=str(source.parent / "out"), force_chmod="0604")
    assert result.done
    assert result.path.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("kind", [Archive, Move])
@pytest.mark.parametrize(
    "keys", [{"force_chmod": "99"}, {"dest_basename": "{NAME}"}, {"dest_basename": "../x"}, {"no_such_key": "1"}]
)
def test_bad_keys_are_refused(kind: type[Step], keys: dict[str, str], source: Path) -> None:
    with pytest.raises(ConfigError):
        run(kind, source, **{"dest_dir": "/out", **keys})


def test_move_needs_a_folder(source: Path) -> None:
    with pytest.raises(ConfigError, match="dest_dir"):
        run(Move, source)


def test_move_gives_the_file_itself(source: Path) -> None:
    result = run(Move, source, dest_dir="/out", dest_basename="{ORIGINAL_BASENAME}")
    assert destination(result) == Path("/out/radar 1.png")


def test_a_name_that_climbs_out_is_refused_for_good(source: Path) -> None:
    result = run(Move, source, dest_dir="/out", dest_basename="{ORIGINAL_BASENAME}", name="../../etc/passwd")
    assert isinstance(result.outcome, Failed)
    assert result.outcome.permanent
    assert "climbs out" in result.outcome.reason


def test_move_can_leave_the_tags_behind(source: Path) -> None:
    result = run(Move, source, dest_dir="/out", dest_basename="x", drop_tags="1")
    assert isinstance(result.outcome, Done)
    (output,) = result.outcome.outputs
    assert output.to == (Path("/out/x"),)
    assert output.path.read_bytes() == b"content"
    assert output.path.stat().st_mode == result.path.stat().st_mode
    assert ATTRIBUTE not in os.listxattr(output.path)


_benches: list[Bench] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test made."""
    yield
    while _benches:
        _benches.pop().close()


class Bench:
    """A step with its worker, which is given files by hand."""

    def __init__(self, folder: Path, kind: type[Step], plugin: str = "p", **keys: Any) -> None:
        self.home = temporary_home(folder)
        self.places = Places(self.home)
        sections = Config({"custom": FreeSection(keys)}, {}, {})
        self.step = kind(self.home, plugin, "main", StepConfig(), sections.section("custom", kind.Custom))
        self.queue = LocalQueue(self.places, Target(plugin, "main"))
        self.trace = Trace(self.home, f"step.{plugin}.main", plugin, "main")
        self.worker = Worker(self.step, self.queue, self.trace, Safety())
        _benches.append(self)

    def put(self, content: bytes, name: bytes = b"radar 1.png") -> str:
        uid = new_uid()
        path = self.home.path / "part"
        path.write_bytes(content)
        write_tags(path, first_tags(uid, name, b"incoming"), self.places.sidecars)
        path.rename(self.places.queue(self.worker.settlement.target) / waiting_name(name))
        return uid

    def work(self) -> None:
        claim = self.queue.claim()
        assert claim
        self.worker.work(claim)

    def send(self, content: bytes, name: bytes = b"radar 1.png") -> str:
        uid = self.put(content, name)
        self.work()
        return uid

    def told(self, uid: str) -> dict[str, Any]:
        return life(self.home, uid)[-1]

    def close(self) -> None:
        self.queue.close()
        self.trace.close()

    def kept(self) -> list[str]:
        return [kept.uid for kept in quarantine.kept_files(self.places)]


def bench(folder: Path, kind: type[Step], **keys: Any) -> Bench:
    own = {"dest_dirs": str(folder / "out")} if kind is Copy else {"dest_dir": str(folder / "out")}
    return Bench(folder, kind, **{**own, "dest_basename": "{ORIGINAL_BASENAME}", **keys})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


placing = pytest.mark.parametrize("kind", [Archive, Copy, Move])


@pytest.mark.parametrize(("kind", "default"), [(Archive, "number"), (Copy, "number"), (Move, "replace")])
def test_what_a_taken_name_means_by_default(kind: type[Step], default: str, tmp_path: Path) -> None:
    assert bench(tmp_path, kind).step.custom.if_exists == default


@placing
def test_two_files_of_one_name_are_both_kept_and_the_trace_tells_where(kind: type[Step], tmp_path: Path) -> None:
    at = bench(tmp_path, kind, if_exists="number", **({"keep_tags_suffix": ""} if kind is Archive else {}))
    uids = {content: at.send(content) for content in (b"1", b"2", b"3")}
    out = tmp_path / "out"
    found = contents(out)
    assert sorted(found.values()) == [b"1", b"2", b"3"]
    assert found["radar 1.png"] == b"1"
    assert all(name.startswith("radar 1") and name.endswith(".png") for name in found)
    for content, uid in uids.items():
        (to,) = at.told(uid)["to"]
        assert Path(to).read_bytes() == content
    assert at.told(uids[b"2"])["taken"] == [str(out / "radar 1.png")]


@placing
def test_a_file_that_is_replaced_is_named_in_the_trace(kind: type[Step], tmp_path: Path) -> None:
    at = bench(tmp_path, kind, if_exists="replace")
    first, second = at.send(b"1"), at.send(b"2")
    assert contents(tmp_path / "out")["radar 1.png"] == b"2"
    assert "replaced" not in at.told(first)
    (replaced,) = at.told(second)["replaced"]
    assert replaced.startswith(str(tmp_path / "out/radar 1.png"))
    if kind is not Copy:  # a copy has no tags
        assert first in replaced


@placing
def test_a_taken_name_is_quarantine_when_told_so(kind: type[Step], tmp_path: Path) -> None:
    at = bench(tmp_path, kind, if_exists="quarantine")
    at.send(b"1")
    second = at.send(b"2")
    assert contents(tmp_path / "out")["radar 1.png"] == b"1"
    assert at.kept() == [second]
    assert "exists already" in at.told(second)["reason"]


@pytest.mark.parametrize(("word", "count"), [("rename", 2), ("fail", 1)])
def test_the_older_words_of_move_are_still_known(word: str, count: int, tmp_path: Path) -> None:
    at = bench(tmp_path, Move, if_exists=word)
    at.send(b"1")
    at.send(b"2")
    assert len(contents(tmp_path / "out")) == count


@pytest.mark.parametrize("if_exists", ["number", "quarantine"])
def test_a_name_that_is_taken_in_the_last_moment_is_not_replaced(
    if_exists: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = bench(tmp_path, Move, if_exists=if_exists)
    at.send(b"1")
    with monkeypatch.context() as patch:
        patch.setattr("mfdata.delivery.fan_out.free_path", lambda wanted, _uid: wanted)
        patch.setattr("mfdata.worker.worker.name_taken", lambda _outcome: None)
        uid = at.send(b"2")
    if if_exists == "number":
        assert sorted(contents(tmp_path / "out").values()) == [b"1", b"2"]
        told = at.told(uid)
        assert told["event"] == "placed"
        assert Path(told["to"][0]).read_bytes() == b"2"
    else:
        at.work()  # it waited again
        assert contents(tmp_path / "out") == {"radar 1.png": b"1"}
        assert at.kept() == [uid]


@pytest.mark.parametrize("drop", ["0", "1"])
def test_a_moved_file_has_tags_unless_they_are_dropped(drop: str, tmp_path: Path) -> None:
    bench(tmp_path, Move, if_exists="number", drop_tags=drop).send(b"1")
    assert bool(read_tags(tmp_path / "out/radar 1.png", tmp_path / "none")) is (drop == "0")


@pytest.mark.parametrize("drop", ["0", "1"])
@pytest.mark.parametrize("if_exists", ["number", "quarantine"])
def test_a_file_can_be_placed_on_another_file_system(
    drop: str, if_exists: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = placing_functions.rename_new

    def between_file_systems(source: str | Path, target: str | Path) -> bool:
        if "out" in str(target) and "out" not in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return plain(source, target)

    monkeypatch.setattr(placing_functions, "rename_new", between_file_systems)
    monkeypatch.setattr("mfdata.delivery.transaction._is_on_one_disk", lambda _source, _target: False)
    at = bench(tmp_path, Move, if_exists=if_exists, drop_tags=drop)
    at.send(b"1")
    at.send(b"2")
    assert sorted(contents(tmp_path / "out").values()) == ([b"1", b"2"] if if_exists == "number" else [b"1"])
    assert len(at.kept()) == (if_exists == "quarantine")


def test_a_copy_to_another_file_system_that_was_placed_is_not_placed_again(tmp_path: Path) -> None:
    source, target, mark = tmp_path / "source", tmp_path / "target", tmp_path / "mark"
    source.write_bytes(b"1")
    assert placing_functions._copy_new(source, target, mark)
    assert placing_functions._copy_new(source, target, mark)
    other = tmp_path / "other"
    other.write_bytes(b"2")
    assert not placing_functions._copy_new(other, target, tmp_path / "other mark")


def test_all_folders_of_a_copy_get_the_file_or_none(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/radar 1.png").write_bytes(b"old")
    at = Bench(tmp_path, Copy, dest_dirs=f"{tmp_path / 'a'},{tmp_path / 'b'}", if_exists="quarantine")
    uid = at.send(b"1")
    assert at.kept() == [uid]
    assert not (tmp_path / "a/radar 1.png").exists()


def archived(folder: Path) -> dict[str, str]:
    """Of each file in the archive: its content, and the uid that is written beside it."""
    found = contents(folder)
    files = {name: content for name, content in found.items() if content.startswith(b"#")}
    return {
        content.decode(): found.get(f"{name}.tags", b"").decode().partition("original_uid = ")[2].partition("\n")[0]
        for name, content in files.items()
    }


@pytest.mark.parametrize("if_exists", ["number", "replace"])
@pytest.mark.parametrize("names", [(b"a", b"a.tags"), (b"a.tags", b"a"), (b"a", b"a.tags", b"a.tags.tags", b"a.tags")])
def test_tags_never_meet_a_file(names: tuple[bytes, ...], if_exists: str, tmp_path: Path) -> None:
    at = bench(tmp_path, Archive, if_exists=if_exists)
    wanted = {}
    for number, name in enumerate(names):
        content = f"# {number}"
        wanted[content] = at.send(content.encode(), name)
    found = archived(tmp_path / "out")
    if if_exists == "number":
        assert found == wanted
    assert all(found[content] == wanted[content] for content in found)
    assert f"# {len(names) - 1}" in found


def test_an_archive_of_one_name_has_the_tags_of_each_file_beside_it(tmp_path: Path) -> None:
    at = bench(tmp_path, Archive)
    wanted = {f"# {number}": at.send(f"# {number}".encode()) for number in range(4)}
    assert archived(tmp_path / "out") == wanted


def test_an_archive_that_replaces_has_the_tags_of_the_last(tmp_path: Path) -> None:
    at = bench(tmp_path, Archive, if_exists="replace")
    uids = [at.send(b"# %d" % number) for number in range(3)]
    assert archived(tmp_path / "out") == {"# 2": uids[-1]}


def test_a_second_try_of_the_archive_finds_its_own_tags(tmp_path: Path) -> None:
    at = bench(tmp_path, Archive)
    at.put(b"# 1")
    claim = at.queue.claim()
    assert claim
    at.step.begin(claim.place)
    at.step.process(File(claim.place, read_tags(claim.place, at.places.sidecars)))
    remove_transaction(prepared_path(claim.place))
    at.queue.release(claim)
    at.work()
    assert sorted(contents(tmp_path / "out")) == ["radar 1.png", "radar 1.png.tags"]


def test_workers_that_place_one_name_at_once_lose_nothing(tmp_path: Path) -> None:
    benches = [bench(tmp_path, Archive) for _ in range(4)]
    wanted = {f"# {number}": benches[0].put(f"# {number}".encode()) for number in range(40)}

    def work(one: Bench) -> None:
        while claim := one.queue.claim():
            one.worker.work(claim)

    threads = [threading.Thread(target=work, args=(one,)) for one in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert archived(tmp_path / "out") == wanted


@pytest.mark.parametrize("rename_new", [placing_functions.rename_new, placing_functions._link_new])
def test_a_new_name_never_replaces(rename_new: object, tmp_path: Path) -> None:
    assert callable(rename_new)
    one, other, target = tmp_path / "one", tmp_path / "other", tmp_path / "target"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    assert rename_new(one, target)
    assert not rename_new(other, target)
    assert target.read_bytes() == b"1"
    assert other.read_bytes() == b"2"


def test_renaming_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        placing_functions.rename_new(tmp_path / "none", tmp_path / "target")


def test_copy_gives_the_file_to_steps_and_folders(source: Path) -> None:
    result = run(Copy, source, dest_dirs="a/main*, b/main:here:/out:./var/copies:b/main")
    assert isinstance(result.outcome, Done)
    home = source.parent / "home"
    folders = (Path("/out/radar 1.png"), home / "var/copies/radar 1.png")
    assert result.outcome.to == ("a/main*", "b/main", "here", *folders)


@pytest.mark.parametrize("dest_dirs", ["a b/main", "a/b/c", "a/", "../x", "a/main**", "~/x", " , "])
def test_copy_refuses_what_is_no_destination(dest_dirs: str, source: Path) -> None:
    with pytest.raises(ConfigError, match="dest_dirs"):
        run(Copy, source, dest_dirs=dest_dirs)


def test_copy_fails_when_one_name_climbs_out(source: Path) -> None:
    result = run(Copy, source, dest_dirs="a/main:/out", name="..")
    assert isinstance(result.outcome, Failed)


def test_delete_names_itself_as_the_rule(source: Path) -> None:
    assert run(Delete, source).outcome == Done(dropped_by="plugin/main")
