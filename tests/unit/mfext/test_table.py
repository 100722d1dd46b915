from __future__ import annotations

import pytest

from mfext.table import Column, duration, listing, size, table


def test_a_listing_has_title_grid_and_total() -> None:
    text = listing("Installed plugins", ("NAME", "VERSION"), [("switch", "1.0"), ("a", "dev_link")], "plugin")
    assert text == (
        "Installed plugins:\n"
        "\n"
        "| NAME   | VERSION  |\n"
        "|--------|----------|\n"
        "| switch | 1.0      |\n"
        "| a      | dev_link |\n"
        "\n"
        "Total: 2 plugin(s)"
    )


def test_an_empty_table_is_its_head() -> None:
    assert table(("A", "LONG"), []) == "| A | LONG |\n|---|------|"


def test_a_name_cannot_break_the_grid() -> None:
    lines = table(("NAME",), [("a\nb\x1b[31m",), ("caf\udce9",)]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert all(line.isprintable() for line in lines)


def test_names_of_other_scripts_do_not_push_the_grid() -> None:
    assert table(("NAME", "N"), [("雲图", "1"), ("e\u0301te\u0301", "2")]).splitlines() == [
        "| NAME | N |",
        "|------|---|",
        "| 雲图 | 1 |",
        "| e\u0301te\u0301  | 2 |",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, ""), (-1, "0s"), (0.4, "0s"), (59, "59s"), (61, "1m 1s"), (3600, "1h 0m"), (90000, "1d 1h")],
)
def test_a_duration_has_its_two_largest_units(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (31_200_000, "31.2 MB"), (5e15, "5000.0 TB")],
)
def test_a_size_has_a_readable_unit(count: float | None, expected: str) -> None:
    assert size(count) == expected


def test_a_byte_that_is_not_utf_8_is_shown_as_such() -> None:
    assert "| caf\\xe9 |" in table(("NAME",), [("caf\udce9",)])


COLUMNS = (
    Column("STEP", least=6),
    "COUNT",
    Column("UID", leaves=1),
    Column("REASON", least=8),
    Column("PATH", 8, True),
)
ROW = ("archive/main", "3", "0123456789abcdef", "the disk is full, and stays so", "/a/long/way/to/config.ini:12")


def test_where_there_is_room_or_no_terminal_a_table_is_whole() -> None:
    for width in (None, 120):
        assert all(cell in table(COLUMNS, [ROW], width) for cell in ROW)


@pytest.mark.parametrize("width", [100, 80, 60, 50, 40])
def test_a_table_fits_the_terminal(width: int) -> None:
    lines = table(COLUMNS, [ROW], width).splitlines()
    assert {len(line) for line in lines} <= set(range(width + 1))
    assert len({len(line) for line in lines}) == 1
    assert "| 3 " in lines[2]


def test_a_column_is_cut_before_another_leaves_and_a_path_keeps_its_end() -> None:
    text = table(COLUMNS, [ROW], 84)
    assert "0123456789abcdef" in text
    assert "the disk" in text
    assert "…" in text
    assert "config.ini:12 |" in text
    assert "UID" not in table(COLUMNS, [ROW], 50)


@pytest.mark.parametrize(("width", "is_whole"), [(None, True), (120, True), (84, False), (50, False)])
def test_a_listing_that_lacks_something_says_what_shows_all(width: int | None, is_whole: bool) -> None:
    text = listing("Files", COLUMNS, [ROW], "file", width)
    assert text.endswith("\nTotal: 1 file(s)" if is_whole else "\nTotal: 1 file(s)\n-o wide shows all")


def test_colour_does_not_change_the_grid() -> None:
    plain = table(("A", "B"), [("x", "y")])
    coloured = table(("A", "B"), [("x", "y")], paint=lambda title, cell: f"<{cell}>" if title == "A" else cell)
    assert coloured == plain.replace("x", "<x>")


def test_wide_characters_are_cut_by_their_width() -> None:
    lines = table((Column("NAME", least=4), "N"), [("雲图雲图雲图", "1")], 15).splitlines()
    assert lines[2] == "| 雲图雲… | 1 |"
