from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfext.configuration.inifile import RawConfig, layered, parsed
from mfext.configuration.secret import MASK
from mfext.errors import ConfigError, MetworkError, Several
from mfext.option import option
from mfext.section import Config, FreeSection, Row, Schema, Section, variable_name


@dataclass(frozen=True)
class General(Section):
    """What it is."""

    name: str = option(help="Its name.", private=True)
    version: str = option("", help="Its version.")


@dataclass(frozen=True)
class Step(Section):
    """What runs."""

    cmd: str = option(help="The command.")
    numprocesses: int = option(1, help="How many.", minimum=0, maximum=9)
    timeout: float = option(30.0, help="How long.", unit="s")
    folders: tuple[str, ...] = option(("{{AUTO}}",), help="Where.")
    archive: Path = option(Path("{{HOME}}/archive"), help="Where to.")  # noqa: RUF009
    _hidden: int = option(0, help="Not for administrators.")


@dataclass(frozen=True)
class Archive(Section):
    """Keys of one step."""

    dest_dir: Path = option(help="Where to.")  # noqa: RUF009
    keep: int = option(5, help="How long.", unit="days")
    passwd: str = option("", help="Who may.", secret=True)
    log_dir: str = option("{{HOME}}/log", help="Where the log is.")


SCHEMA = Schema(
    {"general": General, "step_*": Step, "custom": FreeSection, "switch_rules:*": FreeSection},
    required=("general",),
    fixed=("step_*",),
)
VARIABLES = {"HOME": "/home/me", "COUNT": "3"}
START = "[general]\nname = foo\n"


def load(text: str, schema: Schema = SCHEMA) -> Config:
    return schema.load(parsed(text, "c.ini"), VARIABLES)


def messages(raw: RawConfig, schema: Schema = SCHEMA) -> list[str]:
    with pytest.raises(MetworkError) as error:
        schema.load(raw, VARIABLES)
    errors = error.value.errors if isinstance(error.value, Several) else (error.value,)
    assert {type(one) for one in errors} == {ConfigError}
    return [one.message for one in errors]


def test_sections_become_values_of_their_types() -> None:
    config = load(START + "[step_main]\ncmd = run\nnumprocesses = {{COUNT}}\nfolders = a:{{AUTO}}\n")
    assert config.section("general", General) == General(name="foo")
    step = config.section("step_main", Step)
    assert (step.cmd, step.numprocesses, step.timeout) == ("run", 3, 30.0)
    assert step.folders == ("a", "{{AUTO}}")


def test_a_default_with_a_placeholder_means_what_it_would_in_a_file() -> None:
    assert load(START + "[step_main]\ncmd = x").section("step_main", Step).archive == Path("/home/me/archive")
    assert load(START + "[custom]\ndest_dir = /x").section("custom", Archive).log_dir == "/home/me/log"


def test_a_default_with_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(ConfigError) as error:
        SCHEMA.load(parsed(START + "[step_main]\ncmd = x", "c.ini"), {})
    assert error.value.where == "c.ini:3 [step_main] archive (default)"


def test_a_section_that_needs_nothing_is_there_with_its_defaults() -> None:
    config = load(START)
    assert config["custom"] == FreeSection({}, {}, "c.ini")
    assert list(config) == ["general", "custom"]
    assert config.get("step_main") is None


def test_a_section_with_a_needed_key_may_be_absent_when_it_is_not_required() -> None:
    assert list(load("", Schema({"general": General}))) == []


def test_sections_are_listed_by_pattern_in_the_order_of_the_file() -> None:
    config = load(START + "[step_b]\ncmd = 1\n[step_a]\ncmd = 2\n")
    assert config.names("step_*") == ["step_b", "step_a"]
    assert config.names() == ["general", "step_b", "step_a", "custom"]


def test_a_free_section_keeps_every_key_in_order_with_its_origin() -> None:
    rules = load(START + "[switch_rules:fnmatch:a.b]\nB=* = main\nA* = main, x/y*\n").section(
        "switch_rules:fnmatch:a.b", FreeSection
    )
    assert list(rules.values.items()) == [("B=*", "main"), ("A*", "main, x/y*")]
    assert list(rules.origins.values()) == ["c.ini:4", "c.ini:5"]
    assert rules.origin == "c.ini:3"


WRONG: list[tuple[str, str, list[str]]] = [
    (
        "a key that is almost one",
        START + "[step_main]\ncmd = x\nnumproceses = 2",
        ['c.ini:5 [step_main] numproceses: unknown key. Did you mean "numprocesses"?'],
    ),
    (
        "a key in capitals",
        START + "[step_main]\ncmd = x\nNUMPROCESSES = 2",
        ['c.ini:5 [step_main] NUMPROCESSES: unknown key. Did you mean "numprocesses"?'],
    ),
    (
        "a key of another section that is in the file",
        START + "timeout = 2\n[step_b]\ncmd = x",
        ["c.ini:3 [general] timeout: unknown key. It belongs in [step_b]."],
    ),
    (
        "a key of another section that is not in the file",
        START + "timeout = 2\n",
        ["c.ini:3 [general] timeout: unknown key. It belongs in [step_*]."],
    ),
    (
        "a key of one's own",
        START + "colour = red\n",
        ["c.ini:3 [general] colour: unknown key. Known: name, version. Keys of your own belong in [custom]."],
    ),
    (
        "a section that is almost one",
        START + "[costum]\n",
        ['c.ini:3 [costum]: unknown section. Did you mean "custom"?'],
    ),
    (
        "a section unlike any other",
        START + "[zzz]\n",
        ["c.ini:3 [zzz]: unknown section. Known: custom, general, step_*, switch_rules:*."],
    ),
    ("a step without a name", START + "[step_]\n", ['c.ini:3 [step_]: unknown section. Did you mean "step_*"?']),
    ("a section that must be there", "[custom]\n", ["c.ini: the section [general] is missing"]),
    ("a key that must be there", "[general]\n", ["c.ini:1 [general] name: this key is missing; expected text"]),
    (
        "a needed key without a value",
        "[general]\nname =\n",
        ["c.ini:2 [general] name: the value is empty; expected text"],
    ),
    (
        "a value of the wrong type",
        START + "[step_main]\ncmd = x\nnumprocesses = two",
        ['c.ini:5 [step_main] numprocesses: "two" is not a whole number; expected a whole number from 0 to 9'],
    ),
    (
        "a value out of bounds",
        START + "[step_main]\ncmd = x\nnumprocesses = 10",
        ["c.ini:5 [step_main] numprocesses: 10 is too large; expected a whole number from 0 to 9"],
    ),
    (
        "a key swallowed by the value above",
        START + "[step_main]\ncmd = x\n  numprocesses = 2\n",
        [
            (
                'c.ini:4 [step_main] cmd: the line "numprocesses = 2" below it is indented, '
                "so it belongs to this value. Begin the line at its left margin."
            )
        ],
    ),
    (
        "an unknown variable in a free section",
        START + "[custom]\nx = {{NO}}",
        [
            (
                'c.ini:4 [custom] x: there is no variable "NO". '
                "Set NO in the environment of the module, or write the value itself."
            )
        ],
    ),
    (
        "everything at once, from top to bottom",
        "[general]\nnmae = foo\nrubbish\n[step_main]\ntimeout = soon\n[stp_b]\n",
        [
            "c.ini:1 [general] name: this key is missing; expected text",
            'c.ini:2 [general] nmae: unknown key. Did you mean "name"?',
            'c.ini:3: "rubbish" is not understood; expected a line "key = value"',
            "c.ini:4 [step_main] cmd: this key is missing; expected text",
            'c.ini:5 [step_main] timeout: "soon" is not a number; expected a number of seconds',
            'c.ini:6 [stp_b]: unknown section. Did you mean "step_*"?',
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_told_with_where_and_the_mend(text: str, expected: list[str]) -> None:
    assert messages(parsed(text, "c.ini")) == expected


def layers(folder: Path, *contents: str, environment: dict[str, str] | None = None) -> RawConfig:
    paths = [folder / f"{number}.ini" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return layered(paths, environment, "MFDATA")


def test_every_value_knows_which_layer_it_comes_from(tmp_path: Path) -> None:
    raw = layers(
        tmp_path,
        START + "[step_main]\ncmd = x\ntimeout = 1\n",
        "[step_main]\ntimeout = 2\n[custom]\nmy_key = 3\n",
        environment={"MFDATA_STEP_MAIN_NUMPROCESSES": "4", "MFDATA_CUSTOM_MY_KEY": "5", "MFDATA_CUSTOM_NEW": "6"},
    )
    config = SCHEMA.load(raw, VARIABLES)
    step = config.section("step_main", Step)
    assert (step.timeout, step.numprocesses) == (2.0, 4)
    assert config.section("custom", FreeSection).values == {"my_key": "5", "new": "6"}
    assert config.origin("step_main", "cmd") == f"{tmp_path}/0.ini:4"
    assert config.origin("step_main", "timeout") == f"{tmp_path}/1.ini:2"
    assert config.origin("step_main", "numprocesses") == "environment MFDATA_STEP_MAIN_NUMPROCESSES"
    assert config.origin("step_main", "folders") == "default"


def test_a_variable_may_bring_a_section_that_no_file_has(tmp_path: Path) -> None:
    raw = layers(tmp_path, "", environment={"MFDATA_GENERAL_VERSION": "2"})
    config = Schema({"general": Loose}).load(raw, {})
    assert config.section("general", Loose).version == "2"
    assert "general" not in raw


@dataclass(frozen=True)
class Loose(Section):
    """All optional."""

    version: str = option("1", help="Its version.")


def test_the_section_with_the_longest_name_gets_the_variable(tmp_path: Path) -> None:
    text = START + "[step_a]\ncmd = 1\n[step_a_b]\ncmd = 2\n"
    config = SCHEMA.load(layers(tmp_path, text, environment={"MFDATA_STEP_A_B_CMD": "3"}), VARIABLES)
    assert [config.section(name, Step).cmd for name in config.names("step_*")] == ["1", "3"]


def test_a_variable_that_names_an_unknown_key_is_an_error_and_any_other_is_none(tmp_path: Path) -> None:
    raw = layers(tmp_path, START, environment={"MFDATA_GENERAL_VERSOIN": "1", "MFDATA_ANYTHING": "2"})
    assert messages(raw) == [
        'environment MFDATA_GENERAL_VERSOIN [general] versoin: unknown key. Did you mean "version"?'
    ]


@pytest.mark.parametrize(
    ("override", "environment", "where"),
    [
        ("[step_main]\n_hidden = 1", {}, "1.ini:2 [step_main] _hidden"),
        ("[custom]\n_mine = 1", {}, "1.ini:2 [custom] _mine"),
        ("[general]\nname = bar", {}, "1.ini:2 [general] name"),
        ("", {"MFDATA_STEP_MAIN__HIDDEN": "1"}, "environment MFDATA_STEP_MAIN__HIDDEN [step_main] _hidden"),
        ("", {"MFDATA_GENERAL_NAME": "1"}, "environment MFDATA_GENERAL_NAME [general] name"),
    ],
)
def test_a_private_key_may_not_be_overridden(
    tmp_path: Path, override: str, environment: dict[str, str], where: str
) -> None:
    text = START + "[step_main]\ncmd = x\n_hidden = 2\n[custom]\n_mine = 3\n"
    (message,) = messages(layers(tmp_path, text, override, environment=environment))
    assert message.removeprefix(f"{tmp_path}/") == (
        f"{where}: this key is private: only the file that comes with the software may set it. Remove it here."
    )


def test_a_private_key_may_be_set_in_the_first_layer(tmp_path: Path) -> None:
    config = SCHEMA.load(layers(tmp_path, START + "[step_main]\ncmd = x\n_hidden = 2\n"), VARIABLES)
    assert config.section("step_main", Step)._hidden == 2


def test_a_slip_in_an_override_makes_no_new_step(tmp_path: Path) -> None:
    raw = layers(tmp_path, START + "[step_main]\ncmd = x\n", "[step_mian]\ncmd = y\n")
    assert messages(raw) == [
        (
            f"{tmp_path}/1.ini:1 [step_mian]: there is no such section in {tmp_path}/0.ini, "
            'which this file overrides. Did you mean "step_main"?'
        )
    ]


def test_an_override_may_bring_rules(tmp_path: Path) -> None:
    raw = layers(tmp_path, START, "[switch_rules:equal:a]\nx = main\n")
    assert "switch_rules:equal:a" in SCHEMA.load(raw, VARIABLES)


def test_rows_tell_every_value_in_force_and_no_secret() -> None:
    schema = Schema({"archive": Archive, "custom": FreeSection})
    text = "[archive]\ndest_dir = /x\npasswd = hunter2\n[custom]\npasswd = hunter2\nurl = ftp://me:hunter2@host\n"
    rows = load(text, schema).rows()
    assert rows == [
        Row("archive", "dest_dir", "/x", "c.ini:2"),
        Row("archive", "keep", "5", "default"),
        Row("archive", "passwd", MASK, "c.ini:3"),
        Row("archive", "log_dir", "/home/me/log", "default"),
        Row("custom", "passwd", MASK, "c.ini:5"),
        Row("custom", "url", f"ftp://me:{MASK}@host", "c.ini:6"),
    ]


def test_a_free_section_is_checked_once_its_keys_are_declared() -> None:
    config = load(START + "[custom]\ndest_dir = /x\nkeep = 7\n")
    assert config.section("custom", FreeSection).values["keep"] == "7"
    custom = config.section("custom", Archive)
    assert (custom.dest_dir, custom.keep, custom.passwd) == (Path("/x"), 7, "")


def test_a_free_section_is_expanded_once() -> None:
    config = SCHEMA.load(parsed(START + "[custom]\ndest_dir = {{A}}\nlog_dir = x", "c.ini"), {"A": "{{B}}"})
    assert config.section("custom", Archive).dest_dir == Path("{{B}}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[custom]\ndest_dri = /x\n", 2),
        ("[custom]\ndest_dir = /x\nkeep = long\n", 1),
        ("", 1),
    ],
)
def test_what_is_wrong_with_declared_keys_of_a_free_section_is_told(text: str, expected: int) -> None:
    config = load(START + text)
    with pytest.raises(MetworkError) as error:
        config.section("custom", Archive)
    assert len(getattr(error.value, "errors", [error.value])) == expected
    assert error.value.message.startswith("c.ini")
    assert error.value.exit_code == ConfigError.exit_code


def test_a_section_that_is_not_there_is_a_config_error_when_it_is_needed() -> None:
    config = load("", Schema({}))
    with pytest.raises(ConfigError, match=r"c\.ini: there is no section \[general\]"):
        config.section("general", General)
    assert config.section("custom", Loose) == Loose()


def test_asking_for_a_section_as_something_else_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError):
        load(START).section("general", Step)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("general", General),
        ("step_main", Step),
        ("step_", None),
        ("step", None),
        ("xstep_main", None),
        ("switch_rules:fnmatch:first.core.original_basename", FreeSection),
        ("step_*", Step),
        ("General", None),
    ],
)
def test_a_name_belongs_to_one_kind_of_section(name: str, kind: type[Section] | None) -> None:
    assert SCHEMA.kind(name) is kind


@pytest.mark.parametrize(
    ("name", "expected"), [("step_main", "STEP_MAIN"), ("a-b.c:d", "A_B_C_D"), ("_x", "_X"), ("é", "_")]
)
def test_names_are_written_in_capitals_in_variables(name: str, expected: str) -> None:
    assert variable_name(name) == expected


@given(st.text(st.sampled_from("[]a=#; \n{}STEP_step_generalname0123456789")))
def test_any_text_is_loaded_or_told_about(text: str) -> None:
    try:
        config = load(text)
    except MetworkError as error:
        assert error.exit_code == ConfigError.exit_code  # noqa: PT017 - either is right
    else:
        assert config.section("general", General).name
