from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import MetworkError, UsageError
from mfext.fs.rotating_file import AppendFile
from mfext.lifecycle.logs import Logs, Selection, as_text
from mfext.log import json_line, utc
from mfext.supervision.launch import output_heading

NOW = time.time()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("mfdata", tmp_path)
    home.log.mkdir()
    return home


def logged(home: Home, process: str, ago: float, text: str, level: str = "info", max_bytes: int = 0) -> None:
    file = AppendFile(home.log / f"{process}.log", max_bytes, 5)
    file.write(json_line(NOW - ago, level, "a.logger", process, text, {"file": "x"}))
    file.close()


def printed(home: Home, process: str, *lines: str, ago: float) -> None:
    path = home.log / f"{process}.out"
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))
    os.utime(path, (NOW - ago, NOW - ago))


def heading(ago: float, pid: int = 7) -> str:
    return f"== {utc(NOW - ago)[:19]}Z process {pid}"


def shown(home: Home, count: int | None = 100, **selection: str) -> list[str]:
    with Logs(home, Selection(**selection)) as logs:
        return [entry.text for entry in logs.before(count)]


def test_lines_of_all_processes_are_merged_by_time(home: Home) -> None:
    logged(home, "observer", 30, "first")
    logged(home, "step.a.main", 20, "second")
    logged(home, "observer", 10, "third")
    assert shown(home) == shown(home, None) == ["first", "second", "third"]
    assert shown(home, 2) == ["second", "third"]
    assert shown(home, 0) == []


def test_rotated_pieces_are_read(home: Home) -> None:
    texts = [f"line {number}" for number in range(12)]
    for number, text in enumerate(texts):
        logged(home, "observer", 60 - number, text, max_bytes=500)
    assert (home.log / "observer.log.2").exists()
    assert shown(home) == shown(home, None) == texts


def test_what_is_printed_stands_before_what_came_after_it(home: Home) -> None:
    printed(home, "step.a.main", first := heading(60, 1), "Traceback", second := heading(30, 2), "late", ago=5)
    logged(home, "observer", 45, "between")
    logged(home, "observer", 2, "last")
    assert shown(home) == shown(home, None) == [first, "between", "Traceback", second, "late", "last"]


def test_the_heading_that_launch_writes_is_known_as_one(home: Home) -> None:
    printed(home, "observer", output_heading(1), ago=-3600)
    with Logs(home, Selection()) as logs:
        [entry] = logs.before()
    assert entry.time[:10] == time.strftime("%Y-%m-%d", time.gmtime())
    assert entry.time < utc(NOW + 3000)


@pytest.mark.parametrize("name", ["step.a.main", "a.main", "a/main", "a"])
def test_a_step_is_meant_by_any_of_its_names(home: Home, name: str) -> None:
    for process in ("observer", "step.a.main", "step.ab.main"):
        logged(home, process, 1, process)
    assert shown(home, name=name) == ["step.a.main"]


def test_a_process_is_meant_before_a_plugin_of_that_name(home: Home) -> None:
    for process in ("observer", "step.observer.main"):
        logged(home, process, 1, process)
    assert shown(home, name="observer") == ["observer"]


def test_an_unknown_name_tells_the_nearest(home: Home) -> None:
    logged(home, "step.radar.main", 1, "x")
    with pytest.raises(UsageError, match='Did you mean "radar"'):
        shown(home, name="rader")
    with pytest.raises(UsageError, match='Did you mean "radar/main"'):
        shown(home, name="radar/mian")


def test_levels_below_are_left_out_and_what_is_printed_is_not(home: Home) -> None:
    for number, level in enumerate(("debug", "info", "warning", "error")):
        logged(home, "observer", 10 - number, level, level)
    printed(home, "observer", "Traceback", ago=1)
    assert shown(home, level="warning") == ["warning", "error", "Traceback"]


def test_since_leaves_out_what_is_older(home: Home) -> None:
    for ago in (50, 40, 30, 20):
        logged(home, "observer", ago, str(ago))
    printed(home, "observer", heading(45), "late", ago=25)
    assert shown(home, None, since=utc(NOW - 35)) == shown(home, since=utc(NOW - 35)) == ["30", "late", "20"]


def test_a_torn_line_is_shown_as_it_is(home: Home) -> None:
    logged(home, "observer", 2, "before")
    with (home.log / "observer.log").open("ab") as file:
        file.write(b'{"time": "20\n17\n[]\n{"level": "none"}\n')
    logged(home, "observer", 1, "after")
    assert shown(home) == shown(home, None) == ["before", '{"time": "20', "17", "[]", '{"level": "none"}', "after"]


def test_lines_for_requests_are_shown_only_when_asked_for(home: Home) -> None:
    (home.log / "access.log").write_text(json.dumps({"t": NOW, "uri": "/", "status": 200}) + "\n")
    logged(home, "router", 1, "line")
    assert shown(home) == ["line"]
    with Logs(home, Selection("access")) as logs:
        [entry] = logs.before()
    assert (entry.time, entry.fields) == (utc(NOW), {"uri": "/", "status": 200})


def test_a_home_without_logs_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetworkError, match="there are no logs"):
        Logs(Home("mfdata", tmp_path), Selection())


def test_what_comes_is_told_over_rotations_and_of_new_processes(home: Home) -> None:
    logged(home, "observer", 9, "before")
    with Logs(home, Selection(), follows=True) as logs:
        for number in range(8):
            logged(home, "observer", 8 - number, f"line {number}", max_bytes=500)
        logged(home, "step.new.main", 0, "new")
        printed(home, "step.new.main", "printed", ago=0)
        assert [entry.text for entry in logs.before()] == ["before"]
        found = [entry.text for entry in logs.new()]
        assert logs.new() == []
    assert sorted(found) == sorted([*(f"line {number}" for number in range(8)), "new", "printed"])


def test_a_line_for_a_person_has_its_process_and_another_day_its_date(home: Home) -> None:
    logged(home, "observer", 0, "a\x1btext", "warning")
    with Logs(home, Selection()) as logs:
        [entry] = logs.before()
    local = time.localtime(NOW)
    today, clock = time.strftime("%Y-%m-%d", local), time.strftime("%H:%M:%S", local)
    line = f"{clock} WARNING observer a.logger: a\\x1btext file=x\n"
    assert as_text(entry, today=today) == line
    assert as_text(entry) == f"{today} {line}"
