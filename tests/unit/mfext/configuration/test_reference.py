from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mfext.configuration.inifile import parsed
from mfext.configuration.reference import comment, commented_ini, json_schema, key_lines, markdown
from mfext.errors import ConfigError, InternalError, Several
from mfext.option import option
from mfext.section import FreeSection, Schema, Section, declared


@dataclass(frozen=True)
class General(Section):
    """What the plugin is.

    name = something that is told here, in a second paragraph.
    """

    name: str = option(help="Its name.", pattern="[a-z]+", private=True)
    summary: str = option("", help="summary = what it does, in one line.")


@dataclass(frozen=True)
class Step(Section):
    """What runs."""

    debug: bool = option(False, help="Tell everything.", advanced=True)
    cmd: str = option("{PYTHON} main.py", help="The command.")
    policy: str = option("keep", help="keep = keep it; drop = drop it | lose it.", choices=("keep", "drop"))
    timeout: float = option(30.0, help="How long; 0 = for ever.", unit="s", minimum=0)
    folders: tuple[str, ...] = option(("a", "b"), help="Where.", example="in:out")
    dest_dir: Path = option(Path("{{HOME}}/x"), help="Where to.", secret=True)  # noqa: RUF009


SECTIONS: Mapping[str, type[Section]] = {"general": General, "step_main": Step, "custom": FreeSection}

INI = """\
[general]
# What the plugin is.
# - name = something that is told here, in a second paragraph.

# Its name.
# Text that matches [a-z]+. It must be given.
name = foo

# - summary = what it does, in one line.
# summary =


[step_main]
# What runs.

# The command.
# cmd = {PYTHON} main.py

# - keep = keep it; drop = drop it | lose it.
# One of keep, drop.
# policy = keep

# How long; 0 = for ever.
# A number of seconds, at least 0.
timeout = 5

# Where.
# A list separated by ":", such as "in:out".
# folders = a:b

# Where to.
# A path.
# dest_dir = {{HOME}}/x

# Tell everything.
# 1 or 0.
# debug = 0


[custom]
# Any key is accepted.

z = 1
a = 2
    3
"""


def test_every_key_stands_in_the_file_below_its_help() -> None:
    values = {
        ("general", "name"): "foo",
        ("step_main", "timeout"): "5",
        ("custom", "z"): "1",
        ("custom", "a"): "2\n3",
    }
    assert commented_ini(SECTIONS, values) == INI


def test_a_key_that_must_be_given_is_never_commented_out() -> None:
    assert "\nname =\n" in commented_ini(SECTIONS)


def key_pattern(key: str) -> re.Pattern[str]:
    return re.compile(rf"^#? ?{key} *=", re.MULTILINE)


@pytest.mark.parametrize("name", ["general", "step_main"])
def test_exactly_one_line_looks_like_each_key(name: str) -> None:
    text = commented_ini({name: SECTIONS[name]})
    for key in declared(SECTIONS[name]):
        assert len(key_pattern(key).findall(text)) == 1


def test_with_every_key_uncommented_the_file_says_what_the_defaults_say() -> None:
    text = commented_ini(SECTIONS, {("general", "name"): "foo"})
    schema = Schema(SECTIONS)
    plain = schema.load(parsed(text, ""), {"HOME": "/h"})
    uncommented = schema.load(parsed(re.sub(r"(?m)^# (\w+) =", r"\1 =", text), ""), {"HOME": "/h"})
    assert dict(uncommented.items())["step_main"] == dict(plain.items())["step_main"]
    assert uncommented.origin("step_main", "debug") != "default"
    assert plain.origin("step_main", "debug") == "default"


WORDS = st.lists(st.sampled_from(["a", "dest_dir", "=", "x=1", "0", "(b", "==", "a-b", "word" * 8]), max_size=80)


@given(WORDS)
def test_no_comment_line_looks_like_a_key(words: list[str]) -> None:
    lines = comment(" ".join(words))
    assert not [line for line in lines if re.match(r"#? ?[\w.-]+ *=", line)]
    assert " ".join(line.removeprefix("# ") for line in lines).removeprefix("- ") == " ".join(words)


def test_a_long_help_is_broken_into_lines() -> None:
    assert [len(line) <= 78 for line in comment("word " * 100)] == [True] * 7


def test_what_nobody_declared_cannot_be_set() -> None:
    with pytest.raises(Several) as error:
        commented_ini(SECTIONS, {("step_main", "timeot"): "1", ("costum", "x"): "1"})
    assert [one.message for one in error.value.errors] == [
        '[step_main] timeot: unknown key. Did you mean "timeout"?',
        '[costum]: unknown section. Did you mean "custom"?',
    ]


def test_a_pattern_is_no_section_of_a_file() -> None:
    with pytest.raises(InternalError):
        commented_ini({"step_*": Step})


@pytest.mark.parametrize(
    ("section", "key", "value", "lines"),
    [
        ("a", "x", "1", ["x = 1"]),
        ("a", "x", "", ["x ="]),
        ("a", "x", "# ; = %", ["x = # ; = %"]),
        ("a", "x", " 1 \n 2\n\n3\n", ["x = 1", "    2", "", "    3"]),
        ("a", "x", "é", ["x = é"]),
        ("switch_rules:regex:t", "^a=b", "main", ["^a=b = main"]),
        ("switch_rules:fnmatch:t", "[ab]*", "main", ["[ab]* = main"]),
    ],
)
def test_a_key_is_written_so_that_it_is_read_back(section: str, key: str, value: str, lines: list[str]) -> None:
    assert key_lines(section, key, value) == lines


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("a", "x", "1\n# 2"),
        ("a", "x", "a\0"),
        ("a", "x", "\udcff"),
        ("a", "", "1"),
        ("a", "x=y", "1"),
        ("a", "#x", "1"),
        ("a", ";x", "1"),
        ("a", "[x]", "1"),
        ("a", "x\ny", "1"),
        ("switch_rules:equal:t", "x", "a=b"),
        ("a]", "x", "1"),
    ],
)
def test_what_no_line_can_say_is_an_error(section: str, key: str, value: str) -> None:
    with pytest.raises(ConfigError, match="cannot be written in a file") as error:
        key_lines(section, key, value)
    assert "\n" not in error.value.message


@given(st.sampled_from(["a", "switch_rules:x"]), st.text(), st.text())
def test_whatever_is_written_is_read_back(section: str, key: str, value: str) -> None:
    try:
        lines = key_lines(section, key, value)
    except ConfigError:
        assume(False)
    found = parsed("\n".join([f"[{section}]", *lines, "next = 1"]), "")[section].values
    assert found[key].text == "\n".join(line.strip() for line in value.strip().split("\n"))
    assert list(found) == [key, "next"]


def test_markdown_has_a_table_for_each_section() -> None:
    page = markdown({"step_*": Step, "custom": FreeSection}, "Keys")
    assert page == (
        "# Keys\n\n"
        "## `[step_*]`\n\n"
        "What runs.\n\n"
        "| key | value | default | meaning |\n"
        "| --- | --- | --- | --- |\n"
        "| `debug` | 1 or 0 | `0` | Tell everything. |\n"
        "| `cmd` | text | `{PYTHON} main.py` | The command. |\n"
        "| `policy` | one of keep, drop | `keep` | keep = keep it; drop = drop it \\| lose it. |\n"
        "| `timeout` | a number of seconds, at least 0 | `30` | How long; 0 = for ever. |\n"
        '| `folders` | a list separated by ":", such as "in:out" | `a:b` | Where. |\n'
        "| `dest_dir` | a path | `{{HOME}}/x` | Where to. |\n\n"
        "## `[custom]`\n\n"
        "Any key is accepted.\n"
    )


def test_markdown_tells_what_must_be_given_and_what_is_private() -> None:
    assert "| `name` | text that matches [a-z]+ | must be given | Its name. Private: administrators" in markdown(
        SECTIONS
    )
    assert "| `summary` | text | empty |" in markdown(SECTIONS)


def test_the_json_schema_tells_types_bounds_and_defaults() -> None:
    schema = Schema({"general": General, "step_*": Step, "custom": FreeSection}, required=("general",))
    document: dict[str, Any] = json_schema(schema, "Plugin")
    assert document["title"] == "Plugin"
    assert document["required"] == ["general"]
    assert document["properties"]["custom"]["additionalProperties"] == {"type": "string"}
    general = document["properties"]["general"]
    assert general["required"] == ["name"]
    assert general["additionalProperties"] is False
    assert general["properties"]["name"] == {"type": "string", "description": "Its name.", "pattern": "^([a-z]+)$"}
    step = document["patternProperties"]["^step_.+$"]["properties"]
    assert step["timeout"] == {
        "type": "number",
        "description": "How long; 0 = for ever.",
        "default": 30.0,
        "minimum": 0,
    }
    assert step["policy"]["enum"] == ["keep", "drop"]
    assert step["folders"] == {
        "type": "array",
        "description": "Where.",
        "items": {"type": "string"},
        "default": ["a", "b"],
        "examples": ["in:out"],
    }
    assert step["dest_dir"]["default"] == "{{HOME}}/x"
    assert step["dest_dir"]["writeOnly"] is True
    assert step["debug"]["default"] is False


def test_a_section_without_a_docstring_has_no_help() -> None:
    @dataclass(frozen=True)
    class Bare(Section):
        x: int = 1

    assert commented_ini({"bare": Bare}) == "[bare]\n\n# A whole number.\n# x = 1\n"
