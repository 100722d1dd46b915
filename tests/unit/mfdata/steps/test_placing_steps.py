"""archive, move, copy and delete: what becomes of the file."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mfdata import Done, Failed, File, Step
from mfdata.config import StepConfig
from mfdata.file import ATTRIBUTE, first_tags, read_tags, write_tags
from mfdata.outcome import Outcome
from mfdata.steps import placement
from mfdata.steps.archive import Archive
from mfdata.steps.copy import Copy
from mfdata.steps.delete import Delete
from mfdata.steps.move import Move, MoveKeys
from mfdata.testing import Result, run_step
from mfext.environment import Home
from mfext.errors import ConfigError


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


def move_beside(source: Path, *, uid: str = "u1", **keys: Any) -> Outcome:
    """What a worker's Move says of a file that is claimed anew, with its tags on disk."""
    home = Home("mfdata", source.parent / "home")
    claimed = home.path / "claimed"
    claimed.parent.mkdir(exist_ok=True)
    claimed.unlink(missing_ok=True)
    claimed.write_bytes(source.read_bytes())
    tags = first_tags(uid, os.fsencode(source.name), b"incoming")
    write_tags(claimed, tags, home.path / "sidecars")
    keys = {"dest_dir": str(source.parent / "out"), "dest_basename": "{ORIGINAL_BASENAME}", **keys}
    return Move(home, "p", "main", StepConfig(), MoveKeys(**keys)).process(File(claimed, tags))


def contents(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.iterdir())


def test_a_taken_name_is_left_alone_and_the_file_gets_another(source: Path) -> None:
    assert move_beside(source, if_exists="rename", uid="u1") == Done()
    source.write_bytes(b"other")
    assert move_beside(source, if_exists="rename", uid="u2") == Done()
    out = source.parent / "out"
    assert contents(out) == [b"content", b"other"]
    assert (out / "radar 1.png").read_bytes() == b"content"
    assert all(path.name.startswith("radar 1") and path.suffix == ".png" for path in out.iterdir())


def test_a_taken_name_makes_the_file_fail_when_told_so(source: Path) -> None:
    assert move_beside(source, if_exists="fail", uid="u1") == Done()
    outcome = move_beside(source, if_exists="fail", uid="u2")
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert contents(source.parent / "out") == [b"content"]


@pytest.mark.parametrize("if_exists", ["rename", "fail"])
def test_a_second_try_finds_what_the_first_has_placed(if_exists: str, source: Path) -> None:
    assert move_beside(source, if_exists=if_exists, uid="u1") == Done()
    assert move_beside(source, if_exists=if_exists, uid="u1") == Done()
    assert contents(source.parent / "out") == [b"content"]


def test_a_second_try_finds_the_other_name_too(source: Path) -> None:
    for uid in ("u1", "u2", "u2"):
        assert move_beside(source, if_exists="rename", uid=uid) == Done()
    assert len(contents(source.parent / "out")) == 2


@pytest.mark.parametrize("drop", [False, True])
def test_a_placed_file_has_tags_unless_they_are_dropped(drop: bool, source: Path) -> None:
    assert move_beside(source, if_exists="fail", uid="u1", drop_tags=drop) == Done()
    tags = read_tags(source.parent / "out/radar 1.png", source.parent / "none")
    assert bool(tags) is not drop


@pytest.mark.parametrize("drop", [False, True])
def test_a_file_can_be_placed_on_another_file_system(drop: bool, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_file_system(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_file_system)
    assert move_beside(source, if_exists="fail", drop_tags=drop) == Done()
    assert contents(source.parent / "out") == [b"content"]


@pytest.mark.parametrize("rename_new", [placement.rename_new, placement._link_new])
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
        placement.rename_new(tmp_path / "none", tmp_path / "target")


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
