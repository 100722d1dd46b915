"""The switch on rules that are in force: where files go, with which priority."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mfdata import Done, Failed, File
from mfdata.config import StepConfig
from mfdata.module import MODULE
from mfdata.outcome import Outcome
from mfdata.storage.places import Places
from mfdata.storage.tags import first_tags, new_uid
from mfdata.switch.rules import parse_condition, parse_rules
from mfdata.switch.switch import MAX_RULES, Published, Switch, published, rules_of, slow_rules
from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.errors import ConfigError
from mfext.plugin.manifest import Plugin, load_plugin
from mfext.section import FreeSection
from mfext.testing import temporary_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def in_force(home: Home, priorities: dict[str, int], no_match: str = "keep", condition: str = "True") -> Published:
    rules = tuple(parse_condition(name, "main", condition, "here") for name in ("a", "b"))
    rules_in_force = Published(rules, frozenset({"a/main", "b/main", "c/main"}), no_match, priorities)
    rules_in_force.write(Places(home))
    return rules_in_force


def route(home: Home, name: bytes = b"file") -> Outcome:
    switch = Switch(home, "switch", "main", StepConfig(), FreeSection())
    switch.open()
    path = home.path / "file"
    path.write_bytes(b"content")
    return switch.process(File(path, first_tags(new_uid(), name, b"incoming")))


def routed(home: Home) -> Done:
    outcome = route(home)
    assert isinstance(outcome, Done)
    return outcome


def test_a_file_gets_in_each_queue_the_priority_that_the_step_declares(home: Home) -> None:
    in_force(home, {"a/main": 0})
    outcome = routed(home)
    assert sorted(map(str, outcome.to)) == ["a/main", "b/main"]
    assert outcome.priorities == {"a/main": 0}


def test_what_a_rule_says_of_a_file_counts_more_than_what_the_step_says_of_all(home: Home) -> None:
    (plugin := home.plugins / "a").mkdir(parents=True)
    (plugin / "config.ini").write_text(
        "[general]\nname = a\n[step_main]\npriority = 7\n"
        "[step_other]\npriority = 6\nswitch_logical_condition = True\nswitch_priority = 1\n[step_third]\npriority = 8\n"
        "[switch_rules:fnmatch:first.core.original_basename]\nf* = main@0, third\n"
    )
    plugins = [load_plugin(plugin, MODULE, home)]
    published(module_config(MODULE, home), plugins).write(Places(home))
    assert routed(home).priorities == {"a/main": 0, "a/other": 1, "a/third": 8}


def test_a_step_for_what_no_rule_wants_gets_its_priority_too(home: Home) -> None:
    in_force(home, {"c/main": 9}, no_match="c/main", condition="False")
    assert routed(home) == Done(to="c/main", priorities={"c/main": 9})


def test_what_is_in_force_is_read_as_it_was_written_and_a_changed_priority_shows(home: Home) -> None:
    first = in_force(home, {"a/main": 0})
    assert Published.read(Places(home)) == first
    second = in_force(home, {"a/main": 1})
    assert first.fingerprint(first.compiled()) != second.fingerprint(second.compiled())


FOR_EVER = "^(?=([A-Za-z0-9]{1,40}_?){1,40}[.]grib)A"
NEARLY = "^([A-Za-z0-9]{1,40}_?){1,40}[.]grib"


@pytest.mark.parametrize(("pattern", "is_error"), [(FOR_EVER, True), (NEARLY, False)])
def test_a_rule_that_computes_for_ever_stops_no_file_but_the_one_it_computes_on(
    home: Home, pattern: str, is_error: bool
) -> None:
    section = "switch_rules:regex:first.core.original_basename"
    (mine,) = parse_rules("mine", section, [(pattern, "main", "mine/config.ini:3")])
    theirs = parse_condition("theirs", "main", "True", "theirs/config.ini:2")
    Published((mine, theirs), frozenset({"mine/main", "theirs/main"}), "keep", {}).write(Places(home))
    start = time.process_time()
    for _ in range(10):
        trap = route(home, b"AROME0025SP1MFCLFPW20261129000000aaaaaaaaa.txt")
        assert isinstance(trap, Failed if is_error else Done)
        if isinstance(trap, Failed):
            assert trap.kind == "rule_error"
            assert f"mine/config.ini:3 [{section}] {pattern}" in trap.reason
    for number in range(20):
        outcome = route(home, b"T%d.txt" % number)
        assert isinstance(outcome, Done)
        assert list(map(str, outcome.to)) == ["theirs/main"]
    assert time.process_time() - start < 5


def plugin_with_rules(home: Home, section: str, patterns: list[str]) -> Plugin:
    (folder := home.plugins / "a").mkdir(parents=True)
    lines = "\n".join(f"{pattern} = main" for pattern in patterns)
    (folder / "config.ini").write_text(f"[general]\nname = a\n[step_main]\ncmd = true\n[{section}]\n{lines}\n")
    return load_plugin(folder, MODULE, home)


def test_a_plugin_with_more_rules_than_all_files_can_wait_for_is_refused(home: Home) -> None:
    section = "switch_rules:equal:first.core.original_basename"
    plugin = plugin_with_rules(home, section, [f"a{number}" for number in range(MAX_RULES + 1)])
    with pytest.raises(ConfigError, match="10001 rules; expected 10000 at most"):
        published(module_config(MODULE, home), [plugin])


def test_an_expression_that_may_take_long_is_a_warning_with_its_place(home: Home) -> None:
    plugin = plugin_with_rules(home, "switch_rules:regex:first.core.original_basename", ["^a+$", "^(?!x)a"])
    (warning,) = slow_rules(rules_of(plugin))
    assert warning.message in [one.message for one in MODULE.warnings(home, module_config(MODULE, home), [plugin])]
    assert warning.message.startswith(f"{plugin.folder / 'config.ini'}:7 [switch_rules:regex:")
    assert "^(?!x)a: (?! can take very long" in warning.message
