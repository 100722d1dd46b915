"""Rule budgets: no rule computes for longer than it may, and the rule that would is named."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from mfdata.switch.rule_budget import EXPRESSION_S, FILE_S, OverBudget, ProcessorTime
from mfdata.switch.rule_pattern import regex_pattern
from mfdata.switch.rules import Destination, Rule, RuleSet

NAME = "first.core.original_basename"
#: What the rule computes on for longer than anybody lives.
TRAP = b"AROME0025SP1MFCLFPW20261129000000aaaaaaaaa-grib.txt"
TRAPPING = r"^(?=([A-Za-z0-9]{1,40}_?){1,40}[.]grib)A.*grib"
#: A timer is looked at with each tick of the kernel; what cannot be interrupted is short.
MARGIN_S = 0.2


def cost(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def rule(pattern: str, kind: str = "regex", plugin: str = "p") -> Rule:
    return Rule(
        plugin, f"{plugin}/config.ini:3", kind, "" if kind == "python" else NAME, pattern, (Destination("p", "main"),)
    )


@pytest.mark.parametrize(
    "expression",
    [
        TRAPPING,
        r"(?=(a+)+$).*!",
        r"(?!([A-Za-z0-9]+)*[.]grib)A",
        r"(a*)(a*)(a*)(a*)(a*)(a*)(a*)(a*)(a*)\1\2\3c\4|(a*)(a*)(a*)(a*)(a*)(a*)(a*)(a*)c?\9\9\9x!|b(?!b)!",
        r"(?s)(?:(?=.*b)|.)*(?:(?=.*c)|.)*(?!!)!\Z",
    ],
)
def test_an_expression_that_computes_for_ever_ends_with_its_budget(expression: str) -> None:
    matches = regex_pattern(expression.encode()).matches
    value = TRAP + b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" * 4 + b"!"

    def search() -> None:
        with pytest.raises(OverBudget):
            matches(value)

    assert cost(search) < EXPRESSION_S + MARGIN_S


def test_an_expression_that_only_re_can_run_gives_what_re_gives() -> None:
    matches = regex_pattern(rb"^(?!A)[a-z]+_([0-9])\1$").matches
    assert matches(b"abc_77")
    assert not matches(b"abc_78")


def test_many_files_on_which_an_expression_computes_for_ever_cost_less_each() -> None:
    rules = RuleSet([rule(TRAPPING)], {"p/main"})
    first = cost(lambda: rules.match({NAME: TRAP}))
    assert cost(lambda: [rules.match({NAME: TRAP}) for _ in range(10)]) < 10 * first


def test_the_rule_that_computes_for_ever_is_named_and_all_others_hold_for_other_files() -> None:
    rules = RuleSet([rule("txt$"), rule(TRAPPING, plugin="q"), rule("T1.*")], {"p/main"})
    match = rules.match({NAME: TRAP})
    assert match.error is not None
    assert match.error.rule.plugin == "q"
    assert "q/config.ini:3" in str(match.error)
    assert "processor time" in str(match.error)
    assert rules.match({NAME: b"T1"}).error is None
    assert len(rules.match({NAME: b"T1.txt"}).rules) == 2


def test_many_rules_that_compute_for_ever_cost_no_more_than_one() -> None:
    rules = RuleSet([rule(rf"^(?!{number})(\w+\w?)+!$") for number in range(300)], {"p/main"})
    assert cost(lambda: rules.match({NAME: TRAP})) < 3 * FILE_S + MARGIN_S


def balanced(piece: str, operator: str, depth: int) -> str:
    return (
        piece
        if depth == 0
        else f"({balanced(piece, operator, depth - 1)} {operator} {balanced(piece, operator, depth - 1)})"
    )


@pytest.mark.parametrize(
    "condition",
    [
        balanced("x['t']", "+", 6) + " == b''",
        balanced("int(x['n'])", "*", 6) + " == 0",
        "x['t'].strip(x['t']) == b'a'",
        "len(x['t'].split(b'a')) == x['t'].count(x['t'])",
    ],
)
def test_what_a_condition_may_cost_is_bounded_whatever_the_tags_are(condition: str) -> None:
    rules = RuleSet([rule(condition, "python")], {"p/main"})
    tags = {"t": b"ab" * 100_000, "n": b"9" * 4000}
    assert cost(lambda: rules.match(tags)) < 2 * FILE_S + MARGIN_S


def test_a_budget_within_a_budget_is_no_longer_than_what_is_left() -> None:
    def compute() -> None:
        with ProcessorTime(0.05), ProcessorTime(60.0):
            while True:
                pass

    def bounded() -> None:
        with pytest.raises(OverBudget):
            compute()

    assert cost(bounded) < 0.05 + MARGIN_S


def test_nothing_is_interrupted_once_a_budget_is_over() -> None:
    with ProcessorTime(0.02):
        pass
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass


def test_rules_are_evaluated_in_other_threads_too() -> None:
    found: list[object] = []
    matches = regex_pattern(rb"^(?!A)a+$").matches
    thread = threading.Thread(target=lambda: found.append(matches(b"aaa")))
    thread.start()
    thread.join()
    assert found == [True]


def test_a_large_expression_is_not_tried_on_a_value_that_would_take_too_long() -> None:
    expression = rb"(?:.{0,31}x?){31}y"
    matches = regex_pattern(expression).matches
    values = bytes(random.Random(1).choices(b"abcdx", k=4000))
    assert cost(lambda: matches(values)) < EXPRESSION_S + MARGIN_S
    with pytest.raises(OverBudget, match="too large for a value of 65000 bytes"):
        matches(values * 16 + b"a" * 1000)
    rules = RuleSet([rule("a"), rule(expression.decode(), plugin="q")], {"p/main"})
    error = rules.match({NAME: b"a" * 65_000}).error
    assert error is not None
    assert error.rule.plugin == "q"
