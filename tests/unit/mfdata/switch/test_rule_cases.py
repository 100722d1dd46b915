"""The cases of a plugin: what they say of its rules, with the line of the case."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.module import MODULE
from mfdata.switch.rule_cases import case_faults
from mfext.plugin.manifest import load_plugin

CONFIG = """\
[general]
name = mine
[step_main]
switch_logical_condition = x['latest.switch.main.system_magic'].startswith(b'PNG image')
[step_other]
switch_logical_condition = x['count'] != b'' and int(x['count']) > 3
[switch_rules:fnmatch:first.core.original_basename]
*.grib2 = main, archive/main*
"""
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"


def faults(folder: Path, cases: str) -> list[str]:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "config.ini").write_text(CONFIG)
    (folder / "tests/some.png").write_bytes(PNG)
    (folder / "tests/rules.yaml").write_text(cases)
    found = case_faults(load_plugin(folder, MODULE, None))
    return [fault.message.replace(f"{folder}/", "") for fault in found]


def test_a_plugin_without_cases_has_no_fault(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text(CONFIG)
    assert case_faults(load_plugin(tmp_path, MODULE, None)) == []


@pytest.mark.parametrize(
    "case",
    [
        "",
        "- {file: some.png, to: [main]}",
        "- {file: some.png, to: main}",
        "- {file: some.png, to: mine/main}",
        "- {file: some.png, name: A.grib2, to: [main, archive/main*]}",
        "- {name: A.grib2, to: [main, archive/main]}",
        "- {name: A.txt, to: []}",
        "- {tags: {latest.switch.main.system_magic: PNG image data}, to: [main]}",
        "- {file: some.png, tags: {latest.switch.main.system_magic: data}, to: []}",
        "- {tags: {count: 4}, to: [other]}",
        "- name: A.txt\n  to: []\n- name: B.grib2\n  to:\n  - main\n  - archive/main\n",
    ],
)
def test_a_case_that_holds_is_no_fault(tmp_path: Path, case: str) -> None:
    assert faults(tmp_path, case) == []


def test_a_case_that_does_not_hold_is_told_with_its_line_and_the_rules_that_matched(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "- {name: A.txt, to: []}\n\n- name: A.grib2\n  to: [main]\n")
    assert fault == (
        "tests/rules.yaml:3: the rules send this file to archive/main, mine/main "
        "(config.ini:8 [switch_rules:fnmatch:first.core.original_basename] *.grib2); expected mine/main"
    )


def test_a_rule_that_raises_is_told_with_the_case(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "- {tags: {count: many}, to: []}\n")
    assert fault.startswith('tests/rules.yaml:1: the rule of plugin "mine" could not be evaluated: config.ini:6')


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("- {name: A, to: [mian]}", 'rules.yaml:1: no rule can send a file to "mine/mian". Did you mean "mine/main"?'),
        ("\n- {name: A}", "rules.yaml:2: where the file goes is not said"),
        ("- {to: []}", "rules.yaml:1: of which file this speaks is not said"),
        ("- name: A\n  too: []\n", 'rules.yaml:2: "too" is not known. Did you mean "to"?'),
        ("- name: A\n  to: []\n  name: B\n", 'rules.yaml:3: "name" is said twice'),
        ("- file: none.png\n  to: []\n", 'rules.yaml:1: there is no file "tests/none.png"'),
        ("name: A\n", "rules.yaml:1: this is not a list"),
        ("- some.png\n", "rules.yaml:1: these are not keys and values"),
        ("- {name: [A], to: []}\n", "rules.yaml:1: this is not a text"),
        ("- {name: A\n- b", "rules.yaml:2: this is not YAML"),
    ],
)
def test_what_is_wrong_with_the_cases_is_told_with_its_line(tmp_path: Path, cases: str, said: str) -> None:
    (found,) = faults(tmp_path, cases)
    assert said in found


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "- {name: A}\n- {to: []}\n")
    assert "rules.yaml:1:" in fault
    assert "rules.yaml:2:" in fault
