"""The commands of mfdata, as a person or a script calls them."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mfdata.config import Incoming, Safety
from mfdata.intake.directories import ExternalDirectory
from mfdata.intake.intake import Intake
from mfdata.module import MODULE
from mfdata.operations.tail import Wanted, follow
from mfdata.quarantine.quarantine import keep
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import discard, first_tags, new_uid, read_tags, uid_of, write_tags
from mfdata.storage.trace import Trace, events
from mfext.commands.cli import run
from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.lifecycle import lifecycle
from mfext.module import StatusRow
from mfext.testing import temporary_home

SWITCH, ARCHIVE = Target("switch", "main"), Target("archive", "main")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("METWORK_HOME", str(tmp_path))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    made = temporary_home(tmp_path)
    (Places(made).incoming / "incoming").mkdir(parents=True)
    plugin = made.plugins / "archive"
    plugin.mkdir()
    (plugin / "config.ini").write_text(
        "[general]\nname = archive\n[step_main]\n"
        "switch_logical_condition = x['latest.switch.main.system_magic'].startswith(b'PNG')\n"
        "[switch_rules:fnmatch:first.core.original_basename]\n*.log = main\n"
    )
    return made


@pytest.fixture
def places(home: Home) -> Places:
    return Places(home)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.log"
    path.write_text("some text\n")
    return path


class Output:
    """What a command printed, and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        capsys.readouterr()
        self.status = run(["mfdata", *map(str, arguments)])
        self.out, self.err = capsys.readouterr()

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


def accept(places: Places, name: str) -> str:
    """Let *name* come in; its uid."""
    directory = ExternalDirectory(places.incoming / "incoming", SWITCH)
    (directory.path / name).write_text("some text\n")
    Intake(places, Incoming(), Safety(), Trace(places.home, "observer")).take(directory, name, was_closed=True)
    return str([event["uid"] for event in events(places.home)][-1])


def quarantined(places: Places, name: str = "bad.png", kind: str = "failed", target: Target = ARCHIVE) -> str:
    """A file in quarantine; its uid."""
    path = places.work(target) / "1-a" / waiting_name(os.fsencode(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    tags = first_tags(new_uid(), os.fsencode(name), b"incoming") | {"latest.core.attempt": b"2"}
    write_tags(path, tags, places.sidecars)
    keep(places, path, target, tags, {"kind": kind, "reason": "it is broken\nreally", "log": ["one", "two"]})
    return uid_of(tags)


# ── trace ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_trace_tells_a_life_by_uid_name_or_path(home: Home, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    uid = accept(places, "some.png")
    (waiting,) = places.queue(SWITCH).iterdir()
    for what in (uid, "some.png", waiting, "/elsewhere/some.png"):
        found = Output(capsys, "trace", what, "--json").json
        assert (found["uid"], found["name"]) == (uid, "some.png")
        assert [event["event"] for event in found["events"]] == ["accepted"]
        assert found["places"] == [
            {"state": "waiting", "step": "switch/main", "path": str(waiting), "uid": uid},
        ]
    text = Output(capsys, "trace", uid).out
    assert "accepted" in text
    assert "now: waiting in switch/main" in text


def test_trace_follows_outputs_over_all_processes(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = accept(places, "some.png")
    (waiting,) = places.queue(SWITCH).iterdir()
    waiting.unlink()
    Trace(home, "step.convert.main", "convert", "main").write(
        {"event": "done", "uid": uid, "name": "some.png", "to": []},
        {"event": "made", "uid": f"{uid}.1", "name": "some.jpg", "parent": uid, "to": ["archive/main"]},
    )
    made = places.queue(ARCHIVE) / waiting_name(b"some.jpg")
    made.parent.mkdir()
    made.touch()
    tags = first_tags(uid, b"some.png", b"incoming") | {"latest.core.uid": f"{uid}.1".encode()}
    write_tags(made, tags, places.sidecars)
    found = Output(capsys, "trace", uid, "--json").json
    assert [event["event"] for event in found["events"]] == ["accepted", "done", "made"]
    assert [(place["state"], place["uid"]) for place in found["places"]] == [("waiting", f"{uid}.1")]


def test_trace_of_a_name_that_came_several_times_is_of_the_newest(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uids = [accept(places, "some.png") for _ in range(3)]
    newest = Output(capsys, "trace", "some.png", "--json")
    assert newest.json["uid"] == uids[-1]
    assert [life["uid"] for life in Output(capsys, "trace", "some.png", "--all", "--json").json] == uids[::-1]
    assert "3 files have this name" in Output(capsys, "trace", "some.png").err


@pytest.mark.parametrize("what", ["nothing.png", "0" * 26, "/etc/hostname"])
def test_trace_of_an_unknown_file_is_an_error(home: Home, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(capsys, "trace", what, "--json")
    assert (output.status, output.out) == (1, "")
    assert f'no file "{what}" is known' in output.err


def test_trace_finds_what_a_step_made_by_its_own_name(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = accept(places, "some.png")
    Trace(home, "step.convert.main", "convert", "main").write(
        {"event": "done", "uid": uid, "name": "some.png", "to": []},
        {"event": "made", "uid": f"{uid}.1", "name": "some.jpg", "parent": uid, "to": ["archive/main"]},
    )
    found = Output(capsys, "trace", "some.jpg", "--json").json
    assert (found["uid"], found["name"]) == (f"{uid}.1", "some.jpg")
    assert [event["event"] for event in found["events"]] == ["accepted", "done", "made"]


def test_trace_tells_when_the_next_try_is_due(home: Home, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    uid = accept(places, "some.png")
    Trace(home, "step.send.main", "send", "main").write(
        {"event": "retried", "uid": uid, "name": "some.png", "due": 1792000000.25}
    )
    assert "due=2026-10-14T17:46:40.250Z" in Output(capsys, "trace", uid).out
    assert Output(capsys, "trace", uid, "--json").json["events"][-1]["due"] == 1792000000.25


def flow_of_three(home: Home) -> None:
    """What two steps did with three files."""
    for number, plugin, kind in ((1, "switch", "done"), (2, "send", "retried"), (3, "send", "done")):
        Trace(home, f"step.{plugin}.main", plugin, "main").write(
            {"event": kind, "uid": f"{number}" * 26, "name": f"{number}.png"}
        )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["1.png", "2.png", "3.png"]),
        (["--last", "2"], ["2.png", "3.png"]),
        (["--step", "send"], ["2.png", "3.png"]),
        (["--step", "send/main", "--event", "done"], ["3.png"]),
        (["--since", "1h"], ["1.png", "2.png", "3.png"]),
        (["--step", "send/other"], []),
    ],
)
def test_trace_of_no_file_tells_the_last_events_of_all(
    home: Home, arguments: list[str], names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    flow_of_three(home)
    assert [event["name"] for event in Output(capsys, "trace", "--json", *arguments).json] == names
    lines = Output(capsys, "trace", *arguments).out.splitlines()
    assert len(lines) == len(names)
    assert all(name in line for name, line in zip(names, lines, strict=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["some.png", "--follow"], "events of all files"),
        (["some.png", "--step", "send"], "events of all files"),
        (["--all"], "--all is for a name"),
        (["--since", "soon"], '"soon" is not a time'),
        (["--event", "dome"], 'there is no event "dome". Did you mean "done"?'),
    ],
)
def test_trace_says_which_options_do_not_go_together(
    home: Home, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(capsys, "trace", *arguments)
    assert output.status == 2
    assert said in output.err


def test_trace_follows_what_happens(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    flow_of_three(home)
    rounds = 0

    def sleep(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise KeyboardInterrupt
        if rounds == 1:
            Trace(home, "step.send.main", "send", "main").write({"event": "done", "uid": "4" * 26, "name": "4.png"})

    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(event["name"] for event in follow(home, Wanted(step="send"), 2, sleep=sleep))
    assert told == ["2.png", "3.png", "4.png"]


def test_what_is_followed_is_told_once_though_the_clock_is_set_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_of_three(home)
    real, back = time.time, 0.0
    monkeypatch.setattr("time.time", lambda: real() - back)
    rounds = 0

    def sleep(seconds: float) -> None:
        nonlocal rounds, back
        rounds += 1
        back = 3600.0
        if rounds == 3:
            raise KeyboardInterrupt
        Trace(home, "step.send.main", "send", "main").write(
            {"event": "done", "uid": "5" * 26, "name": f"after.{rounds}.png"}
        )

    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(event["name"] for event in follow(home, Wanted(), 0, time.time() - 60, sleep))
    assert told == ["1.png", "2.png", "3.png", "after.1.png", "after.2.png"]


def test_no_name_can_spoil_the_screen(home: Home, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    uid = accept(places, "a\x1b[31m\nb\udce9")
    text = Output(capsys, "trace", uid).out
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3


# ── explain ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_explain_says_what_each_rule_saw(home: Home, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Output(capsys, "explain", file, "--json").json
    assert found["tags"]["first.core.original_basename"] == "some.log"
    assert found["tags"]["latest.switch.main.system_magic"] == "ASCII text"
    condition, pattern = found["rules"]
    assert condition["matched"] is False
    assert condition["seen"] == {"latest.switch.main.system_magic": "ASCII text"}
    assert pattern["matched"] is True
    assert pattern["seen"] == {"first.core.original_basename": "some.log"}
    assert found["destinations"] == ["archive/main"]
    assert file.exists()
    assert list(events(home)) == []


def test_explain_says_with_which_priority_a_file_will_wait(
    home: Home, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = home.plugins / "archive" / "config.ini"
    config.write_text(config.read_text().replace("*.log = main", "*.log = main@0*"))
    assert Output(capsys, "explain", file, "--json").json["priorities"] == {"archive/main": 0}
    text = Output(capsys, "explain", file).out
    assert "*.log -> archive/main@0" in text
    assert "destinations: archive/main with priority 0" in text


def test_explain_of_a_file_that_nobody_wants_says_what_becomes_of_it(
    home: Home, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(capsys, "explain", file, "--name", "other.txt")
    assert output.status == 0
    assert "destinations: no rule wants it: quarantined as no_match" in output.out


def test_explain_of_a_file_in_quarantine_uses_its_own_tags(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = quarantined(places, "was.log")
    path = next(path for path in places.quarantine(ARCHIVE).iterdir() if path.suffix != ".json")
    found = Output(capsys, "explain", path, "--json").json
    assert found["tags"]["first.core.original_uid"] == uid
    assert found["destinations"] == ["archive/main"]


@pytest.mark.parametrize("what", ["/nowhere", "/tmp"])
def test_explain_of_no_file_is_an_error(home: Home, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert Output(capsys, "explain", what).status == 2


# ── inject ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_inject_gives_files_as_a_producer_would(
    home: Home, places: Places, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = places.incoming / "incoming" / "some.log"
    assert Output(capsys, "inject", file, "--json").json == [{"file": str(file), "to": str(there)}]
    assert there.read_text() == file.read_text()
    there.unlink()
    assert Output(capsys, "inject", "--move", file).status == 0
    assert there.exists()
    assert not file.exists()


def test_inject_gives_files_straight_to_a_step(
    home: Home, places: Places, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (given,) = Output(capsys, "inject", "--to", "archive/main", file, "--json").json
    (waiting,) = places.queue(ARCHIVE).iterdir()
    assert waiting.read_text() == file.read_text()
    tags = read_tags(waiting, places.sidecars)
    assert uid_of(tags) == given["uid"]
    assert tags["first.core.original_basename"] == b"some.log"
    assert [event["event"] for event in events(home)] == ["injected"]
    assert Output(capsys, "inventory", "--json").json["injected"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "archiv/main"], 'Did you mean "archive/main"?'),
        (["--directory", "incomin"], 'Did you mean "incoming"?'),
        (["--directory", "incoming", "--to", "archive/main"], "one place only"),
        (["/nowhere"], "there is no such file"),
    ],
)
def test_inject_does_nothing_when_something_is_wrong(
    home: Home, places: Places, file: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(capsys, "inject", file, *arguments)
    assert output.status == 2
    assert said in output.err
    assert list((places.incoming / "incoming").iterdir()) == []


def test_inject_overwrites_no_file_that_waits_and_does_not_wait_for_an_mfdata_that_is_stopped(
    home: Home, places: Places, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mfdata.operations.injection._WAIT_S", float("inf"))
    (places.incoming / "incoming" / "some.log").write_text("another")
    assert Output(capsys, "inject", file).status == 6
    assert (places.incoming / "incoming" / "some.log").read_text() == "another"


# ── queues, inventory ──────────────────────────────────────────────────────────────────────────────────────────────


def test_queues_counts_every_state_of_every_step(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    accept(places, "some.png")
    (waiting,) = places.queue(SWITCH).iterdir()
    os.utime(waiting, (0, 0))  # the file's own time says nothing of how long it waits
    quarantined(places)
    delayed = places.delayed(ARCHIVE) / f"{0:016d}-{waiting_name(b'x')}"
    delayed.parent.mkdir(parents=True)
    delayed.touch()
    trace = Trace(home, "step.archive.main", "archive", "main")
    trace.write({"event": "done", "uid": "a"}, {"event": "retried", "uid": "b"}, {"event": "quarantined", "uid": "c"})
    archive, switch = Output(capsys, "queues", "--json").json
    assert archive == {
        "name": "archive/main",
        "plugin": "archive",
        "step": "main",
        "waiting": 0,
        "oldest": None,
        "claimed": 0,
        "delayed": 1,
        "quarantined": 1,
        "done": 1,
        "failed": 2,
    }
    assert switch["waiting"] == 1
    assert 0 <= switch["oldest"] < 60
    assert "Total: 2 step(s)" in Output(capsys, "queues").out


def test_the_inventory_balances_and_names_what_is_missing(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = accept(places, "some.png")
    assert Output(capsys, "inventory", "--json").json["balanced"]
    text = Output(capsys, "inventory").out
    assert "accepted 1 + injected 0 + added 0 =" in text
    assert "ended 0 + dropped 0 + waiting 1 + claimed 0 + delayed 0 + quarantined 0" in text
    (waiting,) = places.queue(SWITCH).iterdir()
    waiting.unlink()
    output = Output(capsys, "inventory")
    assert output.status == 1
    assert f"missing: 1 {uid}" in output.out


# ── quarantine ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_quarantine_lists_the_newest_first_and_selects(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uids = [quarantined(places, f"{kind}.png", kind) for kind in ("failed", "poison", "no_match")]
    assert [one["uid"] for one in Output(capsys, "quarantine", "list", "--json").json] == uids[::-1]
    (one,) = Output(capsys, "quarantine", "list", "--kind", "poison", "--json").json
    assert (one["name"], one["step"], one["kind"]) == ("poison.png", "archive/main", "poison")
    assert one["reason"] == "it is broken\nreally"
    assert Output(capsys, "quarantine", "list", "--plugin", "switch", "--json").json == []
    assert Output(capsys, "quarantine", "list", "--older-than", "1h", "--json").json == []
    assert len(Output(capsys, "quarantine", "list", "--limit", "2", "--json").json) == 2
    assert "Total: 3 file(s)" in Output(capsys, "quarantine", "list").out


def test_a_very_long_name_does_not_make_the_list_of_quarantine_unreadable(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    quarantined(places, os.fsdecode(b"\xe9" * 200))
    assert max(map(len, Output(capsys, "quarantine", "list").out.splitlines())) < 200
    assert len(Output(capsys, "quarantine", "list", "--json").json[0]["name"]) == 200


@pytest.mark.parametrize("command", [["list"], ["retry", "--all"], ["drop", "--all", "--yes"]])
@pytest.mark.parametrize(
    ("option", "word", "said"),
    [
        ("--kind", "poisn", '--kind: there is no kind "poisn". Did you mean "poison"?'),
        ("--plugin", "archiv", '--plugin: there is no plugin "archiv". Did you mean "archive"?'),
    ],
)
def test_a_word_that_names_no_file_in_quarantine_by_mistake_is_refused(
    home: Home,
    places: Places,
    command: list[str],
    option: str,
    word: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quarantined(places)
    output = Output(capsys, "quarantine", *command, option, word)
    assert (output.status, output.out) == (2, "")
    assert said in output.err
    assert len(Output(capsys, "quarantine", "list", "--json").json) == 1


def test_a_step_has_words_of_its_own_for_the_quarantine(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    quarantined(places, kind="no_station", target=Target("gone", "main"))
    (one,) = Output(capsys, "quarantine", "list", "--kind", "no_station", "--plugin", "gone", "--json").json
    assert one["kind"] == "no_station"


def test_quarantine_shows_all_that_is_known_of_a_file(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = quarantined(places)
    shown = Output(capsys, "quarantine", "show", uid, "--json").json
    assert shown["log"] == ["one", "two"]
    assert shown["tags"]["first.core.original_uid"] == uid
    text = Output(capsys, "quarantine", "show", "bad.png").out
    assert "reason:\n    it is broken\n    really\n" in text
    assert "log:\n    one\n    two\n" in text


@pytest.mark.parametrize("columns", [80, 100])
def test_the_list_of_quarantine_has_the_uid_and_most_of_the_name_on_a_narrow_terminal(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    uid = quarantined(places, "20261130T1000_radar.grib2")
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = Output(capsys, "quarantine", "list").out.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(f"| {uid} |" in line and "| 20261130T1000_radar" in line for line in lines)
    assert lines[-1] == "-o wide shows all"
    monkeypatch.setenv("COLUMNS", "300")
    assert Output(capsys, "quarantine", "list").out.endswith("Total: 1 file(s)\n")


def test_a_name_of_several_files_in_quarantine_is_said_to_be(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    uids = [quarantined(places, name) for name in ("a.png", "a.png", "a.png", "b.png")]
    assert "newest of 3 files" in Output(capsys, "quarantine", "show", "a.png").err
    assert "newest" not in Output(capsys, "quarantine", "show", "b.png").err
    assert "newest" not in Output(capsys, "quarantine", "show", uids[0]).err
    assert "3 files have the name a.png" in Output(capsys, "quarantine", "drop", "a.png").err
    assert "3 files have the name a.png" in Output(capsys, "quarantine", "retry", "a.png").err
    assert "files have the name" not in Output(capsys, "quarantine", "retry", "b.png").err


def test_an_answer_of_no_deletes_nothing_and_says_so(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = quarantined(places)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_words, **_options: False)
    output = Output(capsys, "quarantine", "drop", uid)
    assert (output.status, output.out, output.err) == (1, "", "nothing is deleted\n")
    assert len(Output(capsys, "quarantine", "list", "--json").json) == 1


def test_quarantine_retry_puts_files_back(home: Home, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = quarantined(places, "a.png"), quarantined(places, "b.png")
    done = Output(capsys, "quarantine", "retry", first, "--json").json
    assert done == [{"uid": first, "name": "a.png", "to": "archive/main"}]
    assert Output(capsys, "quarantine", "retry", "--all", "--to", "switch/main").status == 0
    (waiting,) = places.queue(ARCHIVE).iterdir()
    assert "latest.core.attempt" not in read_tags(waiting, places.sidecars)
    (waiting,) = places.queue(SWITCH).iterdir()
    assert uid_of(read_tags(waiting, places.sidecars)) == second


def test_quarantine_retry_gives_no_file_to_a_step_that_is_not_there(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    quarantined(places, target=Target("gone", "main"))
    output = Output(capsys, "quarantine", "retry", "--all")
    assert output.status == 2
    assert "--to PLUGIN/STEP" in output.err
    assert len(Output(capsys, "quarantine", "list", "--json").json) == 1


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_a_file_in_quarantine_that_cannot_be_dealt_with_holds_up_no_other(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        quarantined(places, name)

    def fails(act: Callable[[Path, Path], Any]) -> Callable[[Path, Path], Any]:
        def failing(path: Path, sidecars: Path) -> Any:
            if path.name.endswith("b.png"):
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return act(path, sidecars)

        return failing

    with monkeypatch.context() as patch:
        patch.setattr("mfdata.quarantine.quarantine.read_tags", fails(read_tags))
        patch.setattr("mfdata.quarantine.quarantine.discard", fails(discard))
        output = Output(capsys, "quarantine", command, "--all", *(["--yes"] if command == "drop" else []))
    assert output.status == 1
    assert "2 file(s)" in output.out
    assert "1 file(s) stay in quarantine, the first being b.png: Input/output error" in output.err
    assert [one["name"] for one in Output(capsys, "quarantine", "list", "--json").json] == ["b.png"]


def test_quarantine_retry_refuses_before_it_has_begun(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    for target in (ARCHIVE, Target("gone", "main"), ARCHIVE):
        quarantined(places, target=target)
    assert Output(capsys, "quarantine", "retry", "--all").status == 2
    assert len(Output(capsys, "quarantine", "list", "--json").json) == 3


def test_quarantine_drop_wants_to_be_sure(home: Home, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    uid = quarantined(places)
    Trace(home, "observer").write({"event": "accepted", "uid": uid, "name": "bad.png", "to": ["archive/main"]})
    output = Output(capsys, "quarantine", "drop", uid)
    assert output.status == 2
    assert "Delete 1 file(s) in quarantine for ever" in output.err
    assert Output(capsys, "quarantine", "drop", uid, "--yes", "--json").json[0]["uid"] == uid
    assert list(places.quarantine(ARCHIVE).iterdir()) == []
    assert [event["event"] for event in events(home)] == ["accepted", "dropped"]
    found = Output(capsys, "inventory", "--json").json
    assert (found["dropped"], found["balanced"]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["retry"], 2, "which files are meant"),
        (["retry", "--all", "x"], 2, "which files are meant"),
        (["retry", "unknown.png"], 1, 'no file "unknown.png" is in quarantine'),
        (["show", "unknown.png"], 1, 'no file "unknown.png" is in quarantine'),
        (["list", "--older-than", "long"], 2, '"long" is not a time'),
        (["drop", "--all", "--kind", "x"], 2, 'there is no kind "x"'),
        (["drop", "--all", "--kind", "poison"], 0, ""),
    ],
)
def test_quarantine_says_what_it_does_not_understand(
    home: Home, arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(capsys, "quarantine", *arguments)
    assert output.status == status
    assert said in output.err


def test_a_broken_plugin_is_left_out_and_named(home: Home, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home.plugins / "broken").mkdir()
    output = Output(capsys, "explain", file, "--json")
    assert output.json["destinations"] == ["archive/main"]
    assert "left out" in output.err
    assert "broken" in output.err


def test_many_files_are_counted_without_holding_their_names(
    home: Home, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = places.queue(SWITCH)
    queue.mkdir(parents=True)
    start = time.time()
    for _ in range(2000):
        (queue / waiting_name(b"x")).touch()
    found = {one["name"]: one for one in Output(capsys, "queues", "--json").json}
    assert found["switch/main"]["waiting"] == 2000
    assert found["switch/main"]["oldest"] >= 0
    assert found["switch/main"]["oldest"] <= time.time() - start + 0.1


# ── configuration ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_config_check_refuses_incoming_directories_that_the_observer_would(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.config / "config.ini").write_text("[incoming]\ndirectories = ../x\n")
    assert run(["config", "check", "mfdata"]) == 3
    assert '[incoming] directories: "../x" is no name of a directory below var/in' in capsys.readouterr().err


def test_a_plugin_that_listens_to_the_directory_of_another_is_refused_alone(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    config = home.plugins / "archive" / "config.ini"
    config.write_text(config.read_text().replace("[switch_rules", "listened_directories = incoming\n[switch_rules", 1))
    assert run(["config", "check", "mfdata"]) == 3
    said = capsys.readouterr().err
    assert 'plugin archive [step_main] listened_directories: "incoming" is listened to by switch/main already' in said


def test_without_libmagic_start_status_and_check_name_it_when_a_rule_needs_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "magic", None)
    (home.plugins / "archive" / "main.py").write_text("")
    mend = "Install libmagic (Debian: libmagic1, RHEL: file-libs)."
    for arguments in (["mfdata", "start"], ["mfdata", "status"], ["plugins", "check", "archive"]):
        assert run(arguments) != 0
        said = "".join(capsys.readouterr())
        assert "a rule asks what a file is: libmagic" in said
        assert "config.ini:4" in said
        assert mend in said
    (home.plugins / "archive" / "config.ini").write_text("[general]\nname = archive\n[step_main]\n")
    assert run(["mfdata", "status"]) != 0
    assert "a rule asks" not in "".join(capsys.readouterr())


def test_the_trace_shows_a_reason_to_its_end(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    uid, reason = new_uid(), f"the rule could not be evaluated: {'x' * 200}. Install libmagic."
    with closing(Trace(home, "step.switch.main", "switch", "main")) as trace:
        trace.write({"event": "quarantined", "uid": uid, "name": "a.png", "reason": reason})
    assert reason in Output(capsys, "trace", uid).out


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("arguments", [["mfdata", "queues"], ["mfdata", "quarantine", "list"], ["config", "show"]])
def test_no_table_is_broken_by_a_terminal(
    home: Home,
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    columns: int,
) -> None:
    path = places.queue(ARCHIVE) / waiting_name(b"a" * 100)
    path.parent.mkdir(parents=True)
    path.touch()
    name = b"a_file_with_quite_a_long_name_of_a_model_run_20261129T000000.grib2"
    keep(places, path, ARCHIVE, first_tags(new_uid(), name, b"i"), {"reason": "no room " * 30, "kind": "failed"})
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("[" if arguments[0] == "config" else "|") for line in lines)
    assert run([*arguments, "-o", "wide"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) > columns or arguments[-1] == "queues"
    assert run([*arguments, "-o", "json"]) == 0
    as_json = capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    assert capsys.readouterr().out == as_json


def test_status_tells_of_files_that_were_put_aside(home: Home, places: Places) -> None:
    def told() -> StatusRow:
        rows = MODULE.status(home, module_config(MODULE, home), [])
        return next(row for row in rows if row.key == "put_aside")

    assert (list(told().rows), told().is_trouble) == ([], False)
    delayed = places.delayed(ARCHIVE) / f"{int(time.time() + 60) * 1_000_000:016d}-{waiting_name(b'a')}"
    delayed.parent.mkdir(parents=True)
    delayed.touch()
    assert ([row["state"] for row in told().rows], told().is_trouble) == (["delayed"], False)
    path = places.queue(ARCHIVE) / waiting_name(b"a")
    path.parent.mkdir(parents=True)
    path.touch()
    kept = keep(places, path, ARCHIVE, first_tags(new_uid(), b"a", b"i"), {"reason": "x", "kind": "failed"})
    os.utime(f"{kept}.json", (time.time() - 3700,) * 2)
    found = told()
    assert [(row["state"], row["files"]) for row in found.rows] == [("quarantined", 1), ("delayed", 1)]
    assert 3700 <= found.rows[0]["oldest_s"] < 3800
    assert found.is_trouble
    assert found.lines[0] == "quarantined: 1 file(s), the oldest for 1h 1m"


def test_a_destination_that_is_not_there_is_named(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.config / "config.ini").write_text("[incoming]\ndestination = swich/main\n")
    (folder := tmp_path / "mine").mkdir()
    config = folder / "config.ini"
    config.write_text(
        "[general]\nname = mine\nrequires = wanted >= 1.0\n[step_main]\ncmd = true\nfailure_policy = move:gone/main\n"
        "[step_other]\ncmd = true\nfailure_policy = move:wanted/main\n[custom]\ndestination = archve/main\n"
    )
    own = [
        f'{config}:11 [custom] destination: there is no step "archve/main". Did you mean "archive/main"?',
        f'{config}:6 [step_main] failure_policy: there is no step "gone/main"',
    ]
    assert run(["plugins", "check", str(folder)]) == 0
    said = capsys.readouterr()
    assert all(f"WARNING : {one}" in said.err for one in own)
    assert "is correct" in said.out
    assert run(["plugins", "check", "--strict", str(folder)]) != 0
    capsys.readouterr()
    assert run(["plugins", "develop", str(folder)]) == 0
    assert all(f"WARNING : {one}" in capsys.readouterr().err for one in own[:1])
    assert run(["config", "check"]) == 0
    warned = capsys.readouterr().err
    assert f"WARNING : {own[0]}" in warned
    assert 'destination: there is no step "swich/main"' in warned
    plan = lifecycle.wanted(MODULE, home)
    rows = MODULE.status(home, plan.config, plan.accepted.plugins)
    (unknown,) = (row for row in rows if row.key == "unknown")
    assert unknown.is_trouble
    assert [row["reason"] for row in unknown.rows] == [
        'there is no step "swich/main"',
        'there is no step "archve/main"',
        'there is no step "gone/main"',
    ]
