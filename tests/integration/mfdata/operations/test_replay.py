"""A file that was here comes in again, from quarantine or from an archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mfdata.operations.inventory import inventory
from mfdata.quarantine.quarantine import keep
from mfdata.steps.archive import tags_text
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import Trace, life
from mfext.commands.cli import run
from mfext.environment import Home
from mfext.testing import temporary_home

SWITCH, CONVERT = Target("switch", "main"), Target("convert", "main")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("METWORK_HOME", str(tmp_path))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    return temporary_home(tmp_path)


def replay(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert run(["mfdata", "replay", "--json", *map(str, arguments)]) == 0, capsys.readouterr().err
    (done,) = json.loads(capsys.readouterr().out)
    return done


def came(home: Home, name: str) -> tuple[str, dict[str, bytes]]:
    """Uid and tags of a file that came in and was routed."""
    uid = new_uid()
    tags = first_tags(uid, name.encode(), b"radar") | {"1.switch.main.enter_step": b"then", "mine": b"kept"}
    Trace(home, "observer").write({"event": "accepted", "uid": uid, "name": name, "to": ["switch/main"]})
    return uid, tags


def archived(home: Home, place: Path, name: str = "some.png", content: bytes = b"content", *, beside: bool) -> str:
    """The uid of a file that the trace says is at *place*, with its tags beside it or in its attribute."""
    uid, tags = came(home, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    if beside:
        place.with_name(f"{place.name}.tags").write_text(tags_text(tags))
    else:
        write_tags(place, tags, place.parent)
    Trace(home, "step.archive.main", "archive", "main").write(
        {"event": "done", "uid": uid, "name": name, "to": [str(place)]}
    )
    return uid


def waiting(home: Home, target: Target = SWITCH) -> tuple[bytes, dict[str, bytes]]:
    """Content and tags of the one file that waits for *target*."""
    (path,) = Places(home).queue(target).iterdir()
    return path.read_bytes(), read_tags(path, Places(home).sidecars)


@pytest.mark.parametrize("beside", [True, False])
def test_an_archived_file_is_found_by_its_trace_and_comes_in_again(
    home: Home, tmp_path: Path, beside: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "archive" / "a"
    uid = archived(home, place, beside=beside)
    done = replay(capsys, uid)
    assert done == {"uid": done["uid"], "replay_of": uid, "from": str(place), "to": "switch/main"}
    content, tags = waiting(home)
    assert content == b"content"
    assert tags == first_tags(done["uid"], b"some.png", b"radar") | {
        "latest.core.replay_of": uid.encode(),
        "mine": b"kept",
    }
    assert place.exists()
    assert [event["event"] for event in life(home, uid)] == ["accepted", "done", "replayed"]
    assert [(event["event"], event["replay_of"]) for event in life(home, done["uid"])] == [("injected", uid)]
    assert inventory(home)["injected"] == 1


def test_of_several_of_one_name_the_newest_comes_again(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archived(home, tmp_path / "archive" / "a", content=b"old", beside=True)
    uid = archived(home, tmp_path / "archive" / "b", content=b"new", beside=True)
    assert replay(capsys, "some.png")["replay_of"] == uid
    assert waiting(home)[0] == b"new"


def test_a_file_whose_place_another_one_took_is_not_replayed(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = archived(home, tmp_path / "latest.png", beside=False)
    archived(home, tmp_path / "latest.png", content=b"other", beside=False)
    assert run(["mfdata", "replay", uid]) == 1
    assert "--from FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["uid", "name", "name on disk"])
def test_an_archive_that_no_trace_tells_of_is_searched(
    home: Home, tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "old"
    tags = first_tags(new_uid(), b"some.png", b"radar")
    (folder / "20260101").mkdir(parents=True)
    (folder / "20260101" / "x1").write_bytes(b"content")
    (folder / "20260101" / "x1.tags").write_text(tags_text(tags))
    (folder / "20260101" / "x2").write_bytes(b"another")
    uid = tags["first.core.original_uid"].decode()
    what = {"uid": uid, "name": "some.png", "name on disk": "x1"}[by]
    done = replay(capsys, what, "--from", folder, "--to", "switch/main")
    assert done["replay_of"] == uid
    assert waiting(home)[0] == b"content"


def test_a_file_without_tags_is_replayed_under_its_own_name(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "some.png").write_bytes(b"content")
    assert replay(capsys, "some.png", "--from", tmp_path / "old")["replay_of"] == ""
    assert waiting(home)[1]["first.core.original_basename"] == b"some.png"


@pytest.mark.parametrize("by_name", [True, False])
def test_a_file_in_quarantine_comes_in_again_and_stays_there(
    home: Home, by_name: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    places = Places(home)
    uid, tags = came(home, "bad.png")
    path = places.work(CONVERT) / "1-a" / waiting_name(b"bad.png")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")
    kept = keep(places, path, CONVERT, tags | {"latest.core.attempt": b"2"}, {"kind": "failed", "reason": "no"})
    done = replay(capsys, "bad.png" if by_name else uid)
    assert (done["replay_of"], done["from"]) == (uid, str(kept))
    assert kept.exists()
    assert "latest.core.attempt" not in waiting(home)[1]


def test_several_come_again_or_none(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uids = [archived(home, tmp_path / "archive" / name, name, beside=True) for name in ("a.png", "b.png")]
    assert run(["mfdata", "replay", "a.png", "none.png"]) == 1
    assert not Places(home).queue(SWITCH).exists()
    assert run(["mfdata", "replay", "--json", *uids]) == 0
    done = json.loads(capsys.readouterr().out)
    assert [one["replay_of"] for one in done] == uids
    assert len(list(Places(home).queue(SWITCH).iterdir())) == 2


def test_what_a_step_made_comes_again_by_its_own_name(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uid, tags = came(home, "some.png")
    made, place = f"{uid}.1", tmp_path / "some.jpg"
    place.write_bytes(b"content")
    own = {"latest.core.uid": made.encode(), "latest.core.original_basename": b"some.jpg"}
    write_tags(place, tags | own, tmp_path)
    Trace(home, "step.convert.main", "convert", "main").write(
        {"event": "done", "uid": uid, "name": "some.png", "to": []},
        {"event": "made", "uid": made, "name": "some.jpg", "parent": uid, "to": [str(place)]},
    )
    assert replay(capsys, "some.jpg")["replay_of"] == made
    assert waiting(home)[1]["first.core.original_basename"] == b"some.jpg"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["none.png"], 1, 'no file "none.png" is in quarantine'),
        (["none.png", "--from", "nowhere"], 2, "nowhere: there is no such folder"),
        (["none.png", "--to", "switch/mian"], 2, 'Did you mean "switch/main"?'),
    ],
)
def test_what_cannot_be_replayed_is_an_error(
    home: Home, arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mfdata", "replay", *arguments]) == status
    assert said in capsys.readouterr().err
