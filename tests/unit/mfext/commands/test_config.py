from __future__ import annotations

import pytest

from mfext.commands.config import ini_lines
from mfext.section import Row

ROWS = [
    ("", Row("log", "level", "info", "default")),
    ("", Row("incoming", "ignore", ":".join([".*"] * 60), "~/homes/mfdata/config/config.ini:12")),
    ("one", Row("custom", "a_key_of_quite_a_long_name_that_is_never_cut", "1", "/a/way/" * 20 + "config.ini:7")),
    ("one", Row("custom", "lines", "first\nsecond", "default")),
]


def test_values_are_blocks_of_an_ini_file_with_their_origins() -> None:
    assert list(ini_lines("mfdata", [ROWS[0], ROWS[3]], 80)) == [
        "# mfdata",
        "",
        "[log]",
        f"{'level = info':40}  # default",
        "",
        "# plugin one",
        "",
        "[custom]",
        "lines = first",
        f"{'    second':40}  # default",
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_key_or_value_is_cut_whatever_the_width(width: int) -> None:
    lines = list(ini_lines("mfdata", ROWS, width))
    assert max(map(len, lines)) <= width
    assert "a_key_of_quite_a_long_name_that_is_never_cut = 1" in lines
    assert any(line.startswith("    # …") and line.endswith("/config.ini:7") for line in lines)
    assert "".join(line.strip() for line in lines).count(".*") == 60


def test_without_a_terminal_each_value_has_one_line() -> None:
    lines = list(ini_lines("mfdata", ROWS[:3], None))
    assert len([line for line in lines if " = " in line]) == 3
    assert lines[-1].endswith(ROWS[2][1].origin)
