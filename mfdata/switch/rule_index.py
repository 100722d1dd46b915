"""Which of very many tests hold for a file, at a cost that does not grow with their number (pure).

Equality is looked up in a dict. Patterns are prefiltered: of the plain texts that a value must hold to match one, the
one that fewest other patterns share is looked for, all of them in one go; only the patterns whose text is found are
then tested. Conditions whose first part asks for a plain text are prefiltered by it, the others are called one by one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mfdata.switch.expression import Condition, Get
from mfdata.switch.multi_match import Literal, Source, Unmatchable, new_matcher
from mfdata.switch.rule_pattern import Pattern

#: Tells whether one test holds for the tags that *get* gives.
Test = Callable[[Get], object]
#: Gives the numbers of the tests that hold, in any order.
Finder = Callable[[Get], tuple[int, ...]]

#: So many tests on one tag are made one by one sooner than prefiltered.
FEW = 2
#: A text that more patterns share is no good prefilter for them: the whole pattern is searched for instead.
_SHARED = 8


@dataclass(frozen=True)
class _Filterable:
    """A test that holds only for values that hold each of *literals*, and in which RE2 finds *whole*."""

    number: int
    test: Test
    literals: tuple[Literal, ...]
    whole: bytes | None = None


class RuleIndex:
    """Tests by their number, filled first and then asked."""

    def __init__(self) -> None:
        self._equal: dict[str, dict[bytes, tuple[int, ...]]] = defaultdict(dict)
        self._filterable: dict[str, list[_Filterable]] = defaultdict(list)
        self._others: list[tuple[int, Test]] = []

    def add_equal(self, number: int, tag: str, value: bytes) -> Test:
        """Add a test for a value of *tag*; gives that test alone."""
        table = self._equal[tag]
        table[value] = (*table.get(value, ()), number)
        return lambda get: get(tag, b"") == value

    def add_pattern(self, number: int, tag: str, pattern: Pattern) -> Test:
        """Add a test for the form of *tag*; gives that test alone."""
        matches = pattern.matches

        def test(get: Get) -> object:
            return matches(get(tag, b""))

        self._filterable[tag].append(_Filterable(number, test, pattern.literals, pattern.re2 or pattern.wider))
        return test

    def add_condition(self, number: int, condition: Condition) -> Test:
        """Add a condition; gives its test alone."""
        if condition.prefilter is None:
            self._others.append((number, condition.holds))
        else:
            tag, literal = condition.prefilter
            self._filterable[tag].append(_Filterable(number, condition.holds, (literal,)))
        return condition.holds

    def finders(self) -> list[Finder]:
        """What finds all tests that hold, each of them once. A finder raises what a test or *get* raises."""
        found = [_equal_finder(tag, table) for tag, table in self._equal.items()]
        rest = list(self._others)
        for tag, tests in self._filterable.items():
            try:
                if len(tests) > FEW:
                    found.append(_prefiltered(tag, tests))
                    continue
            except Unmatchable:  # too many for RE2's memory
                pass
            rest += [(one.number, one.test) for one in tests]
        return [*found, _one_by_one(rest)] if rest else found


def _equal_finder(tag: str, table: dict[bytes, tuple[int, ...]]) -> Finder:
    def find(get: Get) -> tuple[int, ...]:
        return table.get(get(tag, b""), ())

    return find


def _one_by_one(tests: Sequence[tuple[int, Test]]) -> Finder:
    def find(get: Get) -> tuple[int, ...]:
        return tuple([number for number, test in tests if test(get)])

    return find


def _prefiltered(tag: str, tests: Sequence[_Filterable]) -> Finder:
    by_source = _sources(tests)
    unfiltered = by_source.pop(_NOTHING, [])
    matcher = new_matcher(list(by_source))
    candidates = [unfiltered, *by_source.values()]  # by the numbers of the matcher, which always finds 0
    find_slowly = _one_by_one([(one.number, one.test) for one in tests])

    def find(get: Get) -> tuple[int, ...]:
        found = matcher(get(tag, b""))
        if not found:
            return find_slowly(get)
        if len(found) == 1 and not unfiltered:
            return ()  # as for most files
        return tuple([number for source in found for number, test in candidates[source] if test(get)])

    return find


#: Source of the tests that nothing can prefilter.
_NOTHING = b""


def _sources(tests: Sequence[_Filterable]) -> dict[Source, list[tuple[int, Test]]]:
    """The tests by what prefilters them."""
    shared = Counter(literal for one in tests for literal in set(one.literals))
    by_source: dict[Source, list[tuple[int, Test]]] = defaultdict(list)
    for one in tests:
        best = min(one.literals, key=lambda literal: (shared[literal], -len(literal.text)), default=None)
        source: Source = best if best and shared[best] <= _SHARED else one.whole or best or _NOTHING
        by_source[source].append((one.number, one.test))
    return by_source
