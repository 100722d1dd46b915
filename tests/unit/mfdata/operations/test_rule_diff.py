"""What other rules would say of a file of which perhaps not all is known."""

from __future__ import annotations

import pytest

from mfdata.operations.rule_diff import Came, compared, verdict
from mfdata.storage.tags import first_tags, new_uid
from mfdata.switch.rules import Rule, RuleSet, parse_condition, parse_rules

STEPS = {"p/a", "p/b", "p/c"}


def named(pattern: str, to: str) -> list[Rule]:
    return parse_rules("p", "switch_rules:fnmatch:first.core.original_basename", [(pattern, to, "config.ini:1")])


def by_content(to: str, text: str = "PNG") -> list[Rule]:
    condition = f"x['latest.switch.main.system_magic'].startswith(b'{text}')"
    return [parse_condition("p", to, condition, "config.ini:2")]


CAME = Came("u", "some.png", 0.0, first_tags(new_uid(), b"some.png", b"incoming"))
PNG = named("*.png", "a")
RAISES = parse_rules("p", "switch_rules:python", [("int(x['first.core.original_basename']) > 0", "b", "config.ini:3")])


@pytest.mark.parametrize(
    ("old", "new", "gains", "loses", "unknown"),
    [
        (PNG, PNG, (), (), ()),
        (PNG, [*PNG, *named("some*", "b")], ("p/b",), (), ()),
        ([*PNG, *named("some*", "b")], PNG, (), ("p/b",), ()),
        (PNG, named("*.png", "b"), ("p/b",), ("p/a",), ()),
        (PNG, [], ("no_match: keep",), ("p/a",), ()),
        # What both ask of the content, both say.
        (by_content("a"), by_content("a"), (), (), ()),
        (by_content("a"), [*by_content("a"), *PNG], (), (), ("p/a",)),
        (by_content("a"), [*by_content("a"), *named("*.png", "b")], ("p/b",), (), ()),
        # What only one asks of it cannot be told.
        (PNG, [*PNG, *by_content("b")], (), (), ("p/b",)),
        (PNG, [*PNG, *by_content("a")], (), (), ()),
        (by_content("a"), by_content("a", "GIF"), (), (), ("p/a",)),
        (PNG, RAISES, ("quarantine as rule_error",), ("p/a",), ()),
    ],
)
def test_what_is_certain_is_told_apart_from_what_cannot_be_known(
    old: list[Rule], new: list[Rule], gains: tuple[str, ...], loses: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    was, will = (verdict(CAME, RuleSet(rules, STEPS), "keep") for rules in (old, new))
    change = compared(CAME, was, will)
    assert (change.gains, change.loses, change.unknown) == (gains, loses, unknown)


def test_another_policy_for_files_that_nobody_wants_is_a_change() -> None:
    nobody = RuleSet([], STEPS)
    change = compared(CAME, verdict(CAME, nobody, "keep"), verdict(CAME, nobody, "p/a"))
    assert (change.gains, change.loses) == (("no_match: p/a",), ("no_match: keep",))
