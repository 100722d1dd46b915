from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfext import log
from mfext.testing import temporary_home


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    sink, root = log._sink, logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    log._sink = sink
    root.handlers[:] = handlers
    root.setLevel(level)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    home = temporary_home(tmp_path)
    log.set_up(home, "step.a.main", "info")
    return home.log / "step.a.main.log"


def test_a_line_is_one_json_object_with_time_level_logger_process_pid_text_and_fields(file: Path) -> None:
    log.get_logger("mfdata.worker.worker").warning("a file was retried", uid="abc", attempt=2)
    (record,) = records(file)
    assert record.pop("time").endswith("Z")
    assert record.pop("pid") > 0
    assert record == {
        "level": "warning",
        "logger": "mfdata.worker.worker",
        "process": "step.a.main",
        "text": "a file was retried",
        "uid": "abc",
        "attempt": 2,
    }


def test_lines_below_the_level_are_not_written(file: Path) -> None:
    logger = log.get_logger("x")
    logger.debug("not this")
    logger.info("this")
    assert [record["text"] for record in records(file)] == ["this"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('a\n{"level": "error"}\r\x1b[31m', 'a\n{"level": "error"}\r\x1b[31m'),
        (b"caf\xe9 \n", "caf\udce9 \n"),
        ("caf\udce9", "caf\udce9"),
        (Path("/a b"), "/a b"),
        (float("nan"), "nan"),
        ({1, 2}, ["1", "2"]),
        ({("a", 1): 2}, "{('a', 1): 2}"),
        (ValueError("no"), "no"),
    ],
)
def test_no_value_can_forge_a_line_or_stop_the_work(file: Path, value: Any, expected: Any) -> None:
    log.get_logger("x").info("got", name=value)
    assert [record["name"] for record in records(file)] == [expected]


def test_a_field_cannot_take_the_place_of_what_every_line_has(file: Path) -> None:
    log.get_logger("x").info("got", level="error", pid=1, time="never")
    (record,) = records(file)
    assert (record["level"], record["level_"], record["time_"], record["pid_"]) == ("info", "error", "never", 1)


def test_an_exception_is_logged_with_its_stack(file: Path) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        log.get_logger("x").exception("a step failed", step="a/main")
    (record,) = records(file)
    assert record["level"] == "error"
    assert record["traceback"].endswith("ValueError: broken")


def test_a_full_disk_stops_nothing_and_is_told_afterwards(file: Path) -> None:
    file.symlink_to("/dev/full")
    log.get_logger("x").info("one")
    log.get_logger("x").info("two")
    file.unlink()
    log.get_logger("x").info("three")
    assert [(record["text"], record.get("lines")) for record in records(file)] == [
        ("log lines were lost", 2),
        ("three", None),
    ]


def test_log_files_are_rotated(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    log.set_up(home, "a", "info", max_size=500, keep=2)
    for number in range(30):
        log.get_logger("x").info("line", number=number)
    assert sorted(path.name for path in home.log.iterdir()) == ["a.log", "a.log.1", "a.log.2"]


def test_without_a_file_lines_are_readable_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(None, "", "info")
    log.get_logger("mfdata.step").error("it failed", file="a b", tries=3, empty="")
    assert capsys.readouterr().err.endswith('ERROR   mfdata.step: it failed file="a b" tries=3 empty=""\n')


def test_a_supervised_process_writes_into_its_file_only(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.get_logger("x").info("said")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\u202etxt", "caf\udce9", b"caf\xe9\n", "\x07"])
def test_a_line_for_the_eye_holds_nothing_that_moves_the_cursor_or_cannot_be_encoded(name: str | bytes) -> None:
    line = log.readable_line(0, "info", "x", "got", {"name": name})
    assert line.encode("utf-8").count(b"\n") == 1
    assert line[:-1].isprintable()


def test_a_traceback_goes_below_its_line() -> None:
    line = log.readable_line(0, "error", "x", "failed", {"traceback": "a\nb\x1b"})
    assert line.splitlines()[1:] == ["    a", "    b\\x1b"]


def test_colour_is_for_terminals() -> None:
    assert "\x1b[31m" in log.readable_line(0, "error", "x", "failed", {}, colour=True)
    assert "\x1b" not in log.readable_line(0, "error", "x", "failed", {})


def test_times_are_utc_with_milliseconds() -> None:
    assert log.utc(1.0625) == "1970-01-01T00:00:01.062Z"


def test_what_libraries_say_comes_out_here_too(file: Path) -> None:
    log.adopt_standard_logging("warning")
    logging.getLogger("pyftpdlib").warning("user %s left", "bob\n")
    logging.getLogger("pyftpdlib").info("not this")
    logging.getLogger("pyftpdlib").critical("bad")
    assert [(r["logger"], r["level"], r["text"]) for r in records(file)] == [
        ("pyftpdlib", "warning", "user bob\n left"),
        ("pyftpdlib", "error", "bad"),
    ]
