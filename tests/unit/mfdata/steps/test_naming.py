"""The name under which a file is written."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfdata import Failed, File
from mfdata.steps.naming import UnsafeName, check_template, expanded, relative_path, values_of, written_path
from mfdata.storage.file_names import fitted, marked
from mfext.errors import ConfigError

MOMENT = time.struct_time((2026, 3, 9, 7, 5, 2, 0, 68, 0))
VALUES = {
    "ORIGINAL_BASENAME": "a.png",
    "ORIGINAL_DIRNAME": "incoming",
    "ORIGINAL_UID": "0123",
    "RANDOM_ID": "r4nd0m",
    "STEP_COUNTER": "2",
}


def file_called(name: bytes, **tags: bytes) -> File:
    own = {"first.core.original_uid": b"u1", "latest.core.original_basename": name}
    return File(Path("/claimed"), {**own, "latest.core.step_counter": b"3", **tags})


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("%Y%m%d/{ORIGINAL_UID}", "20260309/0123"),
        ("{ORIGINAL_BASENAME}", "a.png"),
        ("{ORIGINAL_DIRNAME}-{STEP_COUNTER}-{RANDOM_ID}", "incoming-2-r4nd0m"),
        ("%H%M%S", "070502"),
        ("%-d.%j", "9.068"),
        ("100%%", "100%"),
        ("100%", "100%"),
        ("50%!", "50%!"),
    ],
)
def test_a_template_is_expanded(template: str, wanted: str) -> None:
    assert expanded(template, VALUES, MOMENT) == wanted


@pytest.mark.parametrize("name", ["%Y", "{ORIGINAL_UID}", "100%d", "{", "%", "}{", "%{ORIGINAL_UID}", "\udce9.png"])
def test_a_name_is_never_expanded(name: str) -> None:
    values = {**VALUES, "ORIGINAL_BASENAME": name}
    assert expanded("%Y-{ORIGINAL_BASENAME}-%d", values, MOMENT) == f"2026-{name}-09"


@given(st.text())
def test_any_name_comes_through_as_it_is(name: str) -> None:
    assert expanded("<{ORIGINAL_BASENAME}>", {**VALUES, "ORIGINAL_BASENAME": name}, MOMENT) == f"<{name}>"


@pytest.mark.parametrize("text", ["..", "../a", "a/../b", "a/..", "/etc/passwd", "//a", "", ".", "a/", "a/.", "a\0b"])
def test_what_climbs_out_or_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UnsafeName):
        relative_path(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("a", "a"), ("a//b", "a/b"), ("./a/./b", "a/b"), ("..a/b..", "..a/b.."), ("-l", "-l"), (" ", " ")],
)
def test_what_stays_below_is_kept(text: str, wanted: str) -> None:
    assert relative_path(text) == wanted


@given(st.binary(min_size=1, max_size=600).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"x").replace(b"/", b"y"))))
def test_a_name_that_is_too_long_is_shortened(name: str) -> None:
    short = fitted(name, 100)
    assert len(os.fsencode(short)) <= 100
    assert short == name or len(os.fsencode(name)) > 100


def test_a_shortened_name_keeps_its_suffix_and_stays_unique() -> None:
    one, other = fitted("é" * 200 + "1.grib"), fitted("é" * 200 + "2.grib")
    assert one.endswith(".grib")
    assert one != other
    assert one.isprintable()  # no character was cut in two
    assert len(os.fsencode(one)) in (254, 255)


def test_room_for_a_suffix_can_be_reserved() -> None:
    assert len(os.fsencode(relative_path("a" * 300, reserve=5))) == 250


def test_a_taken_name_is_marked_before_its_suffix() -> None:
    assert re.fullmatch(r"a~[0-9a-f]{8}\.png", marked("a.png", "u1"))
    assert marked("a.png", "u1") != marked("a.png", "u2")


def test_the_random_id_is_the_same_at_each_try_and_differs_between_steps_and_files() -> None:
    file = file_called(b"a")
    assert values_of(file, "p/main") == values_of(file, "p/main")
    ids = {
        values_of(file, "p/main")["RANDOM_ID"],
        values_of(file, "q/main")["RANDOM_ID"],
        values_of(file_called(b"a", **{"latest.core.step_counter": b"4"}), "p/main")["RANDOM_ID"],
        values_of(file_called(b"a", **{"first.core.original_uid": b"u2"}), "p/main")["RANDOM_ID"],
    }
    assert len(ids) == 4


def test_the_written_path_is_below_the_folder() -> None:
    path = written_path(Path("/archive"), "%Y/{ORIGINAL_BASENAME}", file_called(b"caf\xe9 x.png"), "p/main", MOMENT)
    assert os.fsencode(str(path)) == b"/archive/2026/caf\xe9 x.png"


@pytest.mark.parametrize("name", [b"..", b"../../etc/passwd", b"/etc/passwd", b"."])
def test_a_name_that_climbs_out_fails_for_good(name: bytes) -> None:
    outcome = written_path(Path("/archive"), "{ORIGINAL_BASENAME}", file_called(name), "p/main", MOMENT)
    assert isinstance(outcome, Failed)
    assert outcome.permanent


@pytest.mark.parametrize("template", ["%Y%m%d/{ORIGINAL_UID}", "{ORIGINAL_BASENAME}", "a..b/{RANDOM_ID}", "..a", "x"])
def test_the_configuration_takes_a_good_template(template: str) -> None:
    check_template(template, "dest_basename")


@pytest.mark.parametrize(
    "template", ["{ORIGINAL_NAME}", "{", "a}", "/a", "../a", "a/../b", "a/..", "..", "", "a/", "{}", "{{UID}}"]
)
def test_the_configuration_refuses_a_bad_template(template: str) -> None:
    with pytest.raises(ConfigError, match="dest_basename"):
        check_template(template, "dest_basename")


def test_a_slip_in_a_placeholder_is_mended() -> None:
    with pytest.raises(ConfigError, match='Did you mean "ORIGINAL_BASENAME"'):
        check_template("{ORIGINAL_BASNAME}", "dest_basename")
