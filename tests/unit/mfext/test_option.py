from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mfext.configuration.inifile import RawConfig, RawSection, Value
from mfext.errors import ConfigError, PluginError
from mfext.option import REQUIRED, Option, option, options_of, quoted
from mfext.section import Schema, Section

GOOD: list[tuple[Option, str, Any]] = [
    (Option(kind=str), "a # b ; c = d % e", "a # b ; c = d % e"),
    (Option(kind=str, default=""), "", ""),
    (Option(kind=int), "42", 42),
    (Option(kind=int), "-42", -42),
    (Option(kind=int, minimum=0, maximum=5), "0", 0),
    (Option(kind=int, minimum=0, maximum=5), "5", 5),
    (Option(kind=float), "1e3", 1000.0),
    (Option(kind=float), ".5", 0.5),
    (Option(kind=bool), "1", True),
    (Option(kind=bool), "Yes", True),
    (Option(kind=bool), "on", True),
    (Option(kind=bool), "TRUE", True),
    (Option(kind=bool), "0", False),
    (Option(kind=bool), "no", False),
    (Option(kind=bool), "off", False),
    (Option(kind=bool), "false", False),
    (Option(kind=Path), "/data/in", Path("/data/in")),
    (Option(kind=Path, default=Path()), "", Path()),
    (Option(kind=tuple), " a : b :: c ", ("a", "b", "c")),
    (Option(kind=tuple), "a\nb:c", ("a", "b", "c")),
    (Option(kind=tuple, separator=","), "a:b, c", ("a:b", "c")),
    (Option(kind=tuple, default=("x",)), "", ()),
    (Option(kind=str, choices=("keep", "drop")), "drop", "drop"),
    (Option(kind=tuple, choices=("keep", "drop")), "drop:keep", ("drop", "keep")),
    (Option(kind=str, pattern="[a-z]+"), "abc", "abc"),
]

BAD: list[tuple[Option, str, str]] = [
    (Option(kind=str), "", "the value is empty; expected text"),
    (Option(kind=int, default=1), "", "the value is empty; expected a whole number"),
    (Option(kind=int), "abc", '"abc" is not a whole number; expected a whole number'),
    (Option(kind=int), "1_000", '"1_000" is not a whole number; expected a whole number'),
    (Option(kind=int), "1.5", '"1.5" is not a whole number; expected a whole number'),
    (Option(kind=int), "\u0663", '"\u0663" is not a whole number; expected a whole number'),
    (
        Option(kind=int),
        "2 # two",
        '"2 # two" is not a whole number; expected a whole number. A comment needs a line of its own.',
    ),
    (
        Option(kind=int, unit="s", minimum=0, maximum=60),
        "61",
        "61 is too large; expected a whole number of seconds from 0 to 60",
    ),
    (Option(kind=int, unit="bytes", minimum=1), "0", "0 is too small; expected a whole number of bytes, at least 1"),
    (Option(kind=float, maximum=0.5), "0.6", "0.6 is too large; expected a number, at most 0.5"),
    (Option(kind=float), "nan", '"nan" is not a number; expected a number'),
    (Option(kind=float), "inf", '"inf" is not a number; expected a number'),
    (Option(kind=float), "1_0.0", '"1_0.0" is not a number; expected a number'),
    (Option(kind=bool), "maybe", '"maybe" is not 1 or 0; expected 1 or 0'),
    (Option(kind=Path, default=Path("/a")), "", "the value is empty; expected a path"),
    (Option(kind=tuple), ": :", 'the list is empty; expected a list separated by ":"'),
    (
        Option(kind=str, choices=("keep", "drop")),
        "Kepe",
        '"Kepe" is not known; expected one of keep, drop. Did you mean "keep"?',
    ),
    (
        Option(kind=tuple, choices=("keep", "drop")),
        "keep:zz",
        '"zz" is not known; expected a list separated by ":", each one of keep, drop',
    ),
    (
        Option(kind=str, pattern=r"[0-9.]+", example="1.0"),
        "v1",
        '"v1" has not the right form; expected text that matches [0-9.]+, such as "1.0"',
    ),
    (
        Option(kind=int, secret=True),
        "hunter2",
        "the value (not shown) is not right; expected a whole number",
    ),
]


@pytest.mark.parametrize(("one", "text", "value"), GOOD)
def test_a_text_becomes_a_value_of_its_type(one: Option, text: str, value: Any) -> None:
    found = one.parse(text, "here")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("one", "text", "message"), BAD)
def test_a_wrong_text_is_told_with_what_is_expected(one: Option, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        one.parse(text, "c.ini:3 [a] b")
    assert error.value.message == f"c.ini:3 [a] b: {message}"


def items(separator: str) -> st.SearchStrategy[tuple[str, ...]]:
    word = st.text(st.characters(exclude_characters=separator + "\n", exclude_categories=["Cs"])).map(str.strip)
    return st.lists(word.filter(bool)).map(tuple)


@given(
    st.one_of(
        st.tuples(st.just(int), st.integers(-(10**30), 10**30)),
        st.tuples(st.just(float), st.floats(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(bool), st.booleans()),
        st.tuples(st.just(str), st.text()),
        st.tuples(st.just(tuple), items(":")),
        st.tuples(st.just(Path), st.text(st.characters(exclude_characters="\0"), min_size=1).map(Path)),
    )
)
def test_what_is_written_is_read_back(pair: tuple[type, Any]) -> None:
    kind, value = pair
    one = Option(kind=kind, default=value)
    assume(kind is not Path or str(value).strip())
    assert one.parse(one.text(value), "") == value


@given(st.text())
def test_no_text_makes_anything_but_a_value_or_a_config_error(text: str) -> None:
    told: list[str] = []
    for kind in (int, float, bool, tuple, Path):
        try:
            assert isinstance(Option(kind=kind).parse(text, ""), kind)
        except ConfigError as error:
            told.append(error.message)
    assert not [message for message in told if "\n" in message]


def test_fields_of_a_dataclass_are_options_in_their_order() -> None:
    @dataclass(frozen=True)
    class Example:
        needed: str = option(help="Must be given.")
        count: int = option(3, help="How many.", unit="files", minimum=1)
        folders: tuple[str, ...] = option(("a",), help="Where.", private=True)
        plain: float = 1.5
        _hidden: bool = option(False, help="Not for administrators.")

    options = options_of(Example)
    assert list(options) == ["needed", "count", "folders", "plain", "_hidden"]
    assert [one.kind for one in options.values()] == [str, int, tuple, float, bool]
    assert [one.required for one in options.values()] == [True, False, False, False, False]
    assert [one.private for one in options.values()] == [False, False, True, False, True]
    assert options["needed"].default is REQUIRED
    assert options["plain"].default == 1.5
    assert options["count"].unit == "files"


def test_a_secret_is_not_in_the_text_of_its_section() -> None:
    @dataclass(frozen=True)
    class Example:
        user: str = option(help="Who.")
        passwd: str = option(help="Proof.", secret=True)

    assert repr(Example(user="me", passwd="hunter2")).endswith("Example(user='me')")


def test_annotations_that_are_types_are_understood_like_texts() -> None:
    @dataclass(frozen=True)
    class Example:
        pass

    made: type = dataclass(frozen=True)(
        type("Made", (), {"__annotations__": {"a": int, "b": tuple[str, ...], "c": Path}, "a": 1, "b": (), "c": Path()})
    )
    assert [one.kind for one in options_of(made).values()] == [int, tuple, Path]
    assert options_of(Example) == {}


def test_a_type_that_no_key_can_have_is_told_with_its_field() -> None:
    @dataclass(frozen=True)
    class Example:
        when: dict[str, str] = option(help="x")  # noqa: RUF009

    with pytest.raises(
        PluginError, match=r"Example\.when: a key cannot have the type dict\[str, str\]; expected one of"
    ):
        options_of(Example)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", '"a"'), ("é", '"é"'), ("a\nb\x1b", '"a\\nb\\x1b"'), ("x" * 101, '"' + "x" * 100 + '…"')],
)
def test_a_quoted_text_stays_on_one_line(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_a_key_may_be_a_word_of_python_itself() -> None:
    @dataclass(frozen=True)
    class Route(Section):
        async_: str = option("off", help="Whether.")

    raw = RawConfig("x.ini")
    raw["route"] = RawSection("route", "x.ini:1", {"async": Value("only", "x.ini:2")})
    config = Schema({"route": Route}).load(raw, {})
    assert config.section("route", Route).async_ == "only"
    assert [(row.key, row.value) for row in config.rows()] == [("async", "only")]
