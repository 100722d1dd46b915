from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfext.configfile import parsed
from mfext.errors import ConfigError, MetworkError
from mfext.option import option
from mfext.reference import commented_ini
from mfext.section import FreeSection, Schema, Section
from mfext.setting import set_key


@dataclass(frozen=True)
class Step(Section):
    """What runs."""

    cmd: str = option(help="The command.")
    count: int = option(1, help="How many.", maximum=9)
    condition: str = option("False", help="For which; True = all.")


SCHEMA = Schema({"step_*": Step, "custom": FreeSection, "switch_rules:*": FreeSection})
GENERATED = commented_ini({"step_main": Step, "custom": FreeSection}, {("step_main", "cmd"): "run"})

CASES: list[tuple[str, str, tuple[str, str, str], str]] = [
    ("a key that is set", "[a]\nx = 1\ny = 2\n", ("a", "x", "3"), "[a]\nx = 3\ny = 2\n"),
    ("a value of several lines", "[a]\nx = 1\n  2\n\n  3\ny = 2\n", ("a", "x", "3"), "[a]\nx = 3\ny = 2\n"),
    ("to several lines", "[a]\nx = 1\ny = 2\n", ("a", "x", "3\n4"), "[a]\nx = 3\n    4\ny = 2\n"),
    ("a key commented out", "[a]\n# help\n# x = 1\ny = 2\n", ("a", "x", "3"), "[a]\n# help\nx = 3\ny = 2\n"),
    ("without a blank", "[a]\n#x=1\n", ("a", "x", "3"), "[a]\nx = 3\n"),
    ("lines commented out", "[a]\n# x = 1\n#     2\n# no\n", ("a", "x", "3"), "[a]\nx = 3\n# no\n"),
    ("set and commented out", "[a]\n# x = 1\nx = 2\n", ("a", "x", "3"), "[a]\n# x = 1\nx = 3\n"),
    ("in its own section", "[a]\n# x = 1\n[b]\nx = 2\n", ("b", "x", "3"), "[a]\n# x = 1\n[b]\nx = 3\n"),
    ("carriage returns", "[a]\r\nx = 1\r\ny = 2\r\n", ("a", "x", "3"), "[a]\r\nx = 3\r\ny = 2\r\n"),
    ("no end of line", "[a]\nx = 1", ("a", "x", "3"), "[a]\nx = 3"),
    ("a byte order mark", "\ufeff[a]\nx = 1\n", ("a", "x", "3"), "\ufeff[a]\nx = 3\n"),
    ("keys that are indented", "[a]\n  x = 1\n# y = 2\n  z = 3\n", ("a", "y", "4"), "[a]\n  x = 1\n  y = 4\n  z = 3\n"),
    (
        "a new free key",
        "[custom]\n# Any.\n\nx = 1\n\n[b]\n",
        ("custom", "y", "2"),
        "[custom]\n# Any.\n\nx = 1\ny = 2\n\n[b]\n",
    ),
    ("the first free key", "[custom]\n# Any.\n[b]\n", ("custom", "y", "2"), "[custom]\ny = 2\n# Any.\n[b]\n"),
    ("a new free section", "[a]\nx = 1\n\n", ("custom", "y", "2"), "[a]\nx = 1\n\n[custom]\ny = 2\n"),
    (
        "a rule",
        "[switch_rules:regex:t]\na=b = main\n",
        ("switch_rules:regex:t", "a=b", "other"),
        "[switch_rules:regex:t]\na=b = other\n",
    ),
]


@pytest.mark.parametrize(("text", "what", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_key_is_set_and_the_rest_stays(text: str, what: tuple[str, str, str], expected: str) -> None:
    assert set_key(text, *what) == expected


def test_a_key_of_a_generated_file_keeps_its_help() -> None:
    text = set_key(GENERATED, "step_main", "condition", "( x['a=b'] )", SCHEMA)
    assert text == GENERATED.replace("# condition = False", "condition = ( x['a=b'] )")


def test_a_declared_key_that_stands_nowhere_is_added_to_its_section() -> None:
    text = "[step_main]\ncmd = run\n\n[custom]\n"
    assert set_key(text, "step_main", "count", "2", SCHEMA) == "[step_main]\ncmd = run\ncount = 2\n\n[custom]\n"


def test_a_declared_section_that_stands_nowhere_is_added() -> None:
    assert set_key("[custom]\n", "step_b", "cmd", "x", SCHEMA) == "[custom]\n\n[step_b]\ncmd = x\n"


@pytest.mark.parametrize(
    ("text", "what", "schema", "message"),
    [
        (
            GENERATED,
            ("step_main", "cuont", "1"),
            None,
            'config.ini [step_main] cuont: unknown key. Did you mean "count"?',
        ),
        (
            GENERATED,
            ("step_main", "cuont", "1"),
            SCHEMA,
            'config.ini [step_main] cuont: unknown key. Did you mean "count"?',
        ),
        (
            GENERATED,
            ("step_mian", "count", "1"),
            None,
            'config.ini [step_mian]: unknown section. Did you mean "step_main"?',
        ),
        (GENERATED, ("costum", "x", "1"), SCHEMA, 'config.ini [costum]: unknown section. Did you mean "custom"?'),
        (
            GENERATED,
            ("step_main", "count", "10"),
            SCHEMA,
            "config.ini [step_main] count: 10 is too large; expected a whole number, at most 9",
        ),
        (
            "[a]\nfoo\n",
            ("custom", "x", "1"),
            None,
            'config.ini:2: "foo" is not understood; expected a line "key = value"',
        ),
        (GENERATED, ("custom", "x", "1\n# 2"), None, '[custom] x: "1\\n# 2" cannot be written in a file'),
        (
            "[a]\nx = 1\n#y = 2\n  go on\n",
            ("a", "y", "3"),
            None,
            (
                "config.ini [a] y: the key cannot be set in this text. "
                "Set it by hand; begin every key at the left margin."
            ),
        ),
    ],
)
def test_what_cannot_be_set_is_told(text: str, what: tuple[str, str, str], schema: Schema | None, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        set_key(text, *what, schema)
    assert error.value.message == message


def test_a_placeholder_is_taken_as_it_is() -> None:
    assert "\ncount = {{COUNT}}\n" in set_key(GENERATED, "step_main", "count", "{{COUNT}}", SCHEMA)


@given(st.text(st.sampled_from("[]ab#= \n\r")), st.sampled_from(["1", "", "a\nb"]))
def test_in_any_text_the_key_is_set_and_no_other_changes(text: str, value: str) -> None:
    before = parsed(text, "")
    try:
        after = parsed(set_key(text, "custom", "b", value), "")
    except MetworkError:
        return
    assert after["custom"].values["b"].text == value
    kept = {name: {key: one.text for key, one in raw.values.items()} for name, raw in before.items()}
    found = {name: {key: one.text for key, one in raw.values.items()} for name, raw in after.items()}
    found["custom"].pop("b")
    kept.setdefault("custom", {}).pop("b", None)
    assert found == kept
