from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfext.configuration.inifile import RawConfig, expanded, layered, parsed, read, split_key
from mfext.errors import ConfigError, Several


def texts(config: RawConfig) -> dict[str, dict[str, str]]:
    return {name: {key: value.text for key, value in section.values.items()} for name, section in config.items()}


def problems(text: str) -> list[str]:
    return [problem.message for problem in parsed(text, "c.ini").problems]


CONDITION = "( x['latest.switch.main.system_magic'].startswith(b'PNG image') )"

GOOD: list[tuple[str, str, dict[str, dict[str, str]]]] = [
    ("an empty file", "", {}),
    ("only comments", "# a\n\n  # b = c\n", {}),
    ("an empty section", "[a]", {"a": {}}),
    ("blanks around everything", " [ a b ] \n  x  =  1  \n", {"a b": {"x": "1"}}),
    ("no blanks at all", "[a]\nx=1\ny=", {"a": {"x": "1", "y": ""}}),
    ("special characters in a value", "[a]\nx = 1 # 2 ; 3 % 4 = 5 %(no)s", {"a": {"x": "1 # 2 ; 3 % 4 = 5 %(no)s"}}),
    ("the condition of the story", f"[a]\nx = {CONDITION}", {"a": {"x": CONDITION}}),
    ("an indented line goes on", "[a]\nx = 1\n  2\n\t3\ny = 4", {"a": {"x": "1\n2\n3", "y": "4"}}),
    ("a value that begins below its key", "[a]\nx =\n  1\n  2", {"a": {"x": "1\n2"}}),
    (
        "blank lines and comments in a value",
        "[a]\nx = 1\n\n  # no\n# no\n  2\n\ny = 3",
        {"a": {"x": "1\n\n2", "y": "3"}},
    ),
    ("a header and keys in an indented line are text", "[a]\nx = 1\n  [b]\n  y = 2", {"a": {"x": "1\n[b]\ny = 2"}}),
    (
        "all keys indented alike",
        "[a]\n  x = 1\n    2\n  y = 3\n[b]\n  z = 4",
        {"a": {"x": "1\n2", "y": "3"}, "b": {"z": "4"}},
    ),
    ("case matters", "[a]\nX = 1\nx = 2", {"a": {"X": "1", "x": "2"}}),
    ("carriage returns", "[a]\r\nx = 1\r\n  2\r\n", {"a": {"x": "1\n2"}}),
    ("a byte order mark", "\ufeff[a]\nx = 1", {"a": {"x": "1"}}),
    ("line separators of other kinds are text", "[a]\nx = 1\u20282\x0b3", {"a": {"x": "1\u20282\x0b3"}}),
    (
        "rules end their pattern at the last =",
        "[switch_rules:regex:a.b]\n^a=b=.*$ = main, other/main*\n[A-Z]* = main\n;x = main\n",
        {"switch_rules:regex:a.b": {"^a=b=.*$": "main, other/main*", "[A-Z]*": "main", ";x": "main"}},
    ),
]

BAD: list[tuple[str, list[str]]] = [
    ("[a]\nrubbish", ['c.ini:2: "rubbish" is not understood; expected a line "key = value"']),
    ("[a]\n= 1", ['c.ini:2: "= 1" is not understood; expected a line "key = value"']),
    ("[a]\nx: 1", ['c.ini:2: "x: 1" is not understood; expected a line "key = value"']),
    ("[a]\n; x = 1", ['c.ini:2: "; x = 1" is not understood. A comment starts with "#".']),
    ("x = 1\n[a]", ['c.ini:1: "x" stands before the first [section]. Put it below one.']),
    ("[a\nx = 1", ['c.ini:1: "[a" is not a section header; expected [NAME] alone on its line']),
    ("[]\nx = 1", ['c.ini:1: "[]" is not a section header; expected [NAME] alone on its line']),
    ("[a] # b\nx = 1", ['c.ini:1: "[a] # b" is not a section header; expected [NAME] alone on its line']),
    ("[a]\nx = 1\n[b]\n[a]\ny = 2", ["c.ini:4 [a]: this section stands at c.ini:1 already. Join the two."]),
    ("[a]\nx = 1\n\nx = 2", ["c.ini:4 [a] x: this key stands at c.ini:2 already. Remove one of the two."]),
    ("[a]\nx = 1\0", ["c.ini:2: there is a NUL character in this line"]),
    (
        "[a]\nfoo\n  goes on\nx = 1\nbar\nx = 2",
        [
            'c.ini:2: "foo" is not understood; expected a line "key = value"',
            'c.ini:5: "bar" is not understood; expected a line "key = value"',
            "c.ini:6 [a] x: this key stands at c.ini:4 already. Remove one of the two.",
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
def test_a_file_is_read_as_written(text: str, expected: dict[str, dict[str, str]]) -> None:
    config = parsed(text, "c.ini")
    assert texts(config) == expected
    assert config.problems == []


@pytest.mark.parametrize(("text", "messages"), BAD)
def test_each_broken_line_is_told_with_its_number(text: str, messages: list[str]) -> None:
    assert problems(text) == messages


def test_after_a_broken_header_the_keys_below_are_still_its_own() -> None:
    assert texts(parsed("[a]\nx = 1\n[b\nx = 2", "")) == {"a": {"x": "1"}, "b": {"x": "2"}}


def test_the_first_of_two_equal_keys_counts() -> None:
    assert texts(parsed("[a]\nx = 1\nx = 2\n  3", "")) == {"a": {"x": "1"}}


def test_every_value_knows_its_line() -> None:
    config = parsed("# c\n[a]\n\nx = 1\n  2\ny = 3\n", "some/c.ini")
    assert config["a"].origin == "some/c.ini:2"
    assert [value.origin for value in config["a"].values.values()] == ["some/c.ini:4", "some/c.ini:6"]


WORD = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:]*", fullmatch=True)
LINE = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"])).map(str.strip)


@given(st.dictionaries(WORD, st.dictionaries(WORD, LINE, max_size=4), max_size=4))
def test_whatever_is_written_on_one_line_is_read_back(written: dict[str, dict[str, str]]) -> None:
    lines: list[str] = []
    for name, values in written.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    rules = [name for name in written if name.startswith("switch_rules:")]
    config = parsed("\n".join(lines), "")
    assert config.problems == []
    found = texts(config)
    assert {name: found[name] for name in found if name not in rules} == {
        name: written[name] for name in written if name not in rules
    }


@given(st.text(st.sampled_from("[]a=#; \n\t\r\\0é{")))
def test_any_text_is_read_or_told_about_and_never_breaks_the_reader(text: str) -> None:
    config = parsed(text, "c.ini")
    for problem in config.problems:
        assert problem.where.startswith("c.ini:")
        assert "\n" not in problem.message


@pytest.mark.parametrize(
    ("section", "line", "pair"),
    [
        ("a", "x = y = z", ("x", "y = z")),
        ("switch_rules:equal:t", "x = y = z", ("x = y", "z")),
        ("switch_rules:equal:t", "x", None),
        ("a", "x", None),
        ("a", " = x", None),
    ],
)
def test_only_rules_split_at_the_last_equals_sign(section: str, line: str, pair: tuple[str, str] | None) -> None:
    assert split_key(section, line) == pair


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path / "c.ini")
    assert error.value.message == f"{tmp_path}/c.ini: cannot be read: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_bytes_that_are_not_utf_8_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "c.ini"
    path.write_bytes(b"[a]\nx = caf\xe9\n")
    with pytest.raises(ConfigError) as error:
        read(path)
    assert error.value.message == f"{path}:2: the byte 0xe9 is not UTF-8; expected a file in UTF-8"


def test_all_faults_of_a_file_are_raised_together(tmp_path: Path) -> None:
    path = tmp_path / "c.ini"
    path.write_text("foo\n[a]\nbar\n")
    with pytest.raises(Several) as error:
        read(path)
    assert len(error.value.errors) == 2


def files(folder: Path, *contents: str) -> list[Path]:
    paths = [folder / f"{number}.ini" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return paths


def test_of_two_layers_the_last_wins_key_by_key(tmp_path: Path) -> None:
    first, second = files(tmp_path, "[a]\nx = 1\ny = 2\n", "[b]\nz = 4\n[a]\n\ny = 3\n")
    config = layered([first, second])
    assert texts(config) == {"a": {"x": "1", "y": "3"}, "b": {"z": "4"}}
    assert config["a"].values["x"].origin == f"{first}:2"
    assert config["a"].values["y"].origin == f"{second}:5"
    assert [config["a"].values[key].overrides for key in "xy"] == [False, True]
    assert not config["a"].overrides
    assert config["b"].overrides


def test_a_layer_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    (path,) = files(tmp_path, "[a]\nx = 1\n")
    config = layered([path, tmp_path / "none.ini", path / "below_a_file.ini"])
    assert texts(config) == {"a": {"x": "1"}}
    assert config.problems == []


def test_the_first_layer_must_be_there_when_this_is_said(tmp_path: Path) -> None:
    assert layered([tmp_path / "none.ini"]).problems == []
    (problem,) = layered([tmp_path / "none.ini"], must_exist=True).problems
    assert problem.message == f"{tmp_path}/none.ini: cannot be read: No such file or directory"


def test_a_layer_that_is_there_but_cannot_be_read_is_told(tmp_path: Path) -> None:
    (first,) = files(tmp_path, "")
    loop = tmp_path / "loop.ini"
    loop.symlink_to(loop)
    (problem,) = layered([first, loop]).problems
    assert problem.message == f"{loop}: cannot be read: Too many levels of symbolic links"


def test_faults_of_all_layers_are_kept_for_one_report(tmp_path: Path) -> None:
    first, second = files(tmp_path, "foo\n", "bar\n")
    assert [problem.where for problem in layered([first, second]).problems] == [f"{first}:1", f"{second}:1"]


def test_only_variables_with_the_prefix_override(tmp_path: Path) -> None:
    environment = {"MFDATA_A_X": "1", "MFDATAX": "2", "HOME": "/", "MFDATA_B": "3"}
    config = layered(files(tmp_path, ""), environment, "MFDATA")
    assert config.environment == {"A_X": ("1", "MFDATA_A_X"), "B": ("3", "MFDATA_B")}
    assert layered([], environment).environment == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{HOME}}/x/{{ HOME }}", "/h/x//h"),
        ("{{EMPTY}}x", "x"),
        ("{{AUTO}}", "{{AUTO}}"),
        ("{HOME}", "{HOME}"),
        ("a{{2}}", "a{{2}}"),
        ("{{}} }} {{", "{{}} }} {{"),
        ("{{NESTED}}", "{{HOME}}"),
    ],
)
def test_placeholders_become_variables(text: str, expected: str) -> None:
    assert expanded(text, {"HOME": "/h", "EMPTY": "", "NESTED": "{{HOME}}"}, "here") == expected


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(ConfigError) as error:
        expanded("x {{HOMME}}", {"HOME": "/h"}, "c.ini:2 [a] x")
    assert error.value.message == (
        'c.ini:2 [a] x: there is no variable "HOMME". '
        "Set HOMME in the environment of the module, or write the value itself."
    )


def test_a_filter_of_another_template_language_is_an_error_rather_than_text() -> None:
    with pytest.raises(ConfigError, match=r"is not understood; expected \{\{NAME\}\} alone"):
        expanded("{{CORES|default('4')}}", {"CORES": "4"}, "here")
