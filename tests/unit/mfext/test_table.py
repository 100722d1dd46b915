from __future__ import annotations

import pytest

from mfext.table import duration, listing, size, table


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
