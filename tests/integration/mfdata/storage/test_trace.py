"""What happened to files: written by many, rotated, torn, read back in order."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from mfdata import config
from mfdata.storage import trace
from mfdata.storage.trace import Trace, counts, events, is_related, last_event, life, trace_folder, uids_of_name
from mfext.environment import Home
from mfext.testing import temporary_home

UID, OTHER = "0" * 25 + "a", "0" * 25 + "b"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def write(home: Home, process: str, text: str) -> None:
    trace_folder(home).mkdir(exist_ok=True)
    with (trace_folder(home) / f"{process}.jsonl").open("a") as file:
        file.write(text)


def line(t: float, uid: str = UID, event: str = "done", plugin: str = "p") -> str:
    return json.dumps({"t": t, "plugin": plugin, "step": "main", "event": event, "uid": uid}, separators=(",", ":"))


def test_events_say_when_and_where(home: Home) -> None:
    before = time.time()
    Trace(home, "step.p.main", "p", "main").write({"event": "done", "uid": UID, "to": ["a/main"]})
    (event,) = events(home)
    assert before - 0.001 <= event.pop("t") <= time.time()
    assert 0 < event.pop("up") <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert Path("/proc/sys/kernel/random/boot_id").read_text("ascii").startswith(event.pop("boot"))
    assert event == {"plugin": "p", "step": "main", "event": "done", "uid": UID, "to": ["a/main"]}


@pytest.mark.parametrize("name", [b"new\nline", b"caf\xe9", b'{"t":1}', b"\\", b"\x00", "été 日本".encode()])
def test_no_name_can_forge_a_line(home: Home, name: bytes) -> None:
    Trace(home, "p").write({"event": "accepted", "uid": UID, "name": os.fsdecode(name)}, {"event": "x", "raw": name})
    first, second = events(home)
    assert os.fsencode(first["name"]) == os.fsencode(second["raw"]) == name


def test_all_processes_are_merged_by_time(home: Home) -> None:
    write(home, "a", f"{line(1)}\n{line(4)}\n")
    write(home, "b", f"{line(2)}\n{line(3)}\n")
    assert [event["t"] for event in events(home)] == [1, 2, 3, 4]


def test_order_is_kept_when_the_clock_is_set_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    day, now = 86_400.0, time.time
    for number, (process, wrong) in enumerate([("a", 0.0), ("b", -day), ("a", -day), ("b", day), ("a", 0.0)]):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: now() + wrong)
        Trace(home, process).write({"event": "done", "uid": UID, "number": number})
    assert [event["number"] for event in events(home)] == [0, 1, 2, 3, 4]
    assert [event["number"] for event in life(home, UID)] == [0, 1, 2, 3, 4]


def test_what_was_written_before_the_machine_was_started_anew_comes_before(home: Home) -> None:
    write(home, "a", f'{line(2000)[:-1]},"boot":"aaaaaaaa","up":900.0}}\n{line(3006)[:-1]},"boot":"b","up":6.0}}\n')
    write(home, "b", f'{line(3005)[:-1]},"boot":"b","up":5.0}}\n')
    assert [event["t"] for event in events(home)] == [2000, 3005, 3006]


def test_what_a_killed_writer_left_hides_nothing_else(home: Home) -> None:
    write(home, "a", f"{line(1)}\n{line(2)[:20]}{line(3)}\n{line(4)}{line(5)}\nnonsense\n\n[1]\n{line(6)}")
    assert [event["t"] for event in events(home)] == [1, 3, 4, 5, 6]


def test_rotated_pieces_are_read_too(home: Home) -> None:
    writer = Trace(home, "p", settings=config.Trace(max_size=2_000, keep=50))
    for number in range(200):
        writer.write({"event": "done", "uid": UID, "number": number})
    assert len(list(trace_folder(home).iterdir())) > 5
    assert [event["number"] for event in events(home)] == list(range(200))


def test_a_reader_misses_nothing_that_is_rotated_while_he_reads(home: Home) -> None:
    writer = Trace(home, "p", settings=config.Trace(max_size=2_000, keep=50))
    for number in range(100):
        writer.write({"event": "done", "uid": UID, "number": number})
    found = []
    for event in events(home):
        found.append(event["number"])
        if len(found) == 1:
            for number in range(100, 140):
                writer.write({"event": "done", "uid": UID, "number": number})
    assert found[:100] == list(range(100))
    assert sorted(set(found)) == found


def test_what_is_older_is_skipped(home: Home) -> None:
    write(home, "a", "".join(f"{line(float(number))}\n" for number in range(10_000)))
    assert [event["t"] for event in events(home, since=9_990)] == list(map(float, range(9_990, 10_000)))
    assert counts(home, since=9_990) == {("p", "main", "done"): 10}
    assert counts(home, since=9_000, until=9_004) == {("p", "main", "done"): 5}


def test_lines_that_hold_a_text_are_found_wherever_it_stands_in_them(home: Home) -> None:
    lines = [line(float(number), f"uid{number}") for number in range(1000)]
    write(home, "a", "\n".join(lines))  # the last one without its end, as while it is written
    for number in (0, 7, 500, 999):
        found = [event["uid"] for event in events(home, containing=f'"uid{number}"'.encode())]
        assert found == [f"uid{number}"]
    assert len(list(events(home, since=990.0, containing=b'"uid9'))) == 10
    assert list(events(home, containing=b"nowhere")) == []
    write(home, "empty", "")
    assert len(list(events(home, containing=b'"uid'))) == 1000


def test_a_trace_goes_on_when_its_folder_is_removed(home: Home) -> None:
    writer = Trace(home, "p")
    writer.write({"event": "one"})
    (trace_folder(home) / "p.jsonl").unlink()
    trace_folder(home).rmdir()
    writer.write({"event": "two"})
    assert [event["event"] for event in events(home)] == ["two"]


def test_the_last_event_of_a_kind_is_found(home: Home) -> None:
    assert last_event(home, "p", "accepted") is None
    write(home, "p", f"{line(1, event='accepted')}\n{line(2, event='accepted')}\n{line(3)}\n{line(4)[:9]}")
    found = last_event(home, "p", "accepted")
    assert found is not None
    assert found["t"] == 2


def test_the_last_event_is_found_in_the_piece_before_a_new_one(home: Home) -> None:
    write(home, "p", f"{line(1, event='accepted')}\n")
    (trace_folder(home) / "p.jsonl").rename(trace_folder(home) / "p.jsonl.1")
    (trace_folder(home) / "p.jsonl").touch()
    assert (last_event(home, "p", "accepted") or {})["t"] == 1


@pytest.mark.parametrize(
    ("uid", "other", "related"),
    [("u", "u", True), ("u", "u.1", True), ("u.1.2", "u", True), ("u.1", "u.2", False), ("u.1", "u.10", False)],
)
def test_a_file_is_related_to_what_it_was_made_from(uid: str, other: str, related: bool) -> None:
    assert is_related(uid, other) is related
    assert is_related(other, uid) is related


def test_the_life_of_a_file_holds_that_of_its_outputs_and_no_other(home: Home) -> None:
    write(home, "a", f"{line(1, UID)}\n{line(2, OTHER)}\n{line(3, UID + '.1')}\n{line(4, UID + '.2')}\n")
    assert [event["t"] for event in life(home, UID)] == [1, 3, 4]
    assert [event["t"] for event in life(home, f"{UID}.2")] == [1, 4]


def test_a_name_finds_the_files_that_came_in_with_it_newest_first(home: Home) -> None:
    writer = Trace(home, "observer")
    for uid, name in ((UID, "caf\udce9"), (OTHER, "caf\udce9"), ("x", "caf")):
        writer.write({"event": "accepted", "uid": uid, "name": name})
    assert uids_of_name(home, "caf\udce9") == [OTHER, UID]
    assert uids_of_name(home, "nothing") == []


def test_a_home_without_a_trace_has_no_events(home: Home) -> None:
    assert list(events(home)) == []
    assert trace.counts(home, 0) == {}
