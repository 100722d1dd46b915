"""Which of very many tests hold for a file, at a cost that does not grow with their number (pure).

Equality is looked up in a dict. Patterns are sieved: of the plain texts that a value must hold to match a pattern, the
one that fewest other patterns share goes into a set that RE2 looks for in one pass over the value; only the patterns
whose text is found are then tested. Conditions are called one after the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from mfdata.condition import Get
from mfdata.rule_pattern import Pattern, PatternError, new_sieve

#: Tells whether one test holds for the tags that *get* gives.
Test = Callable[[Get], object]
#: Gives the numbers of the tests that hold, in any order.
Finder = Callable[[Get], tuple[int, ...]]

#: So many patterns on one tag are tested one by one sooner than sieved, and need no RE2.
FEW = 3
#: A text that more patterns share is no good sieve for them: the whole pattern is sieved instead.
_SHARED = 8

_Numbered = tuple[int, Callable[[bytes], object]]


class RuleIndex:
    """Tests by their number, filled first and then asked."""

    def __init__(self) -> None:
        self._equal: dict[str, dict[bytes, tuple[int, ...]]] = defaultdict(dict)
        self._patterns: dict[str, list[tuple[int, Pattern]]] = defaultdict(list)
        self._conditions: list[tuple[int, Test]] = []

    def add_equal(self, number: int, tag: str, value: bytes) -> Test:
        """Add a test for a value of *tag*; gives that test alone."""
        table = self._equal[tag]
        table[value] = (*table.get(value, ()), number)
        return lambda get: get(tag, b"") == value

    def add_pattern(self, number: int, tag: str, pattern: Pattern) -> Test:
        """Add a test for the form of *tag*; gives that test alone."""
        self._patterns[tag].append((number, pattern))
        matches = pattern.matches
        return lambda get: matches(get(tag, b""))

    def add_condition(self, number: int, holds: Test) -> Test:
        """Add a test of any kind; gives that test alone."""
        self._conditions.append((number, holds))
        return holds

    def finders(self) -> list[Finder]:
        """What finds all tests that hold, each of them once. A finder raises what a test or *get* raises."""
        found = [_equal_finder(tag, table) for tag, table in self._equal.items()]
        for tag, tests in self._patterns.items():
            found.append(_one_by_one(tag, tests) if len(tests) <= FEW else _sieved(tag, tests))
        return [*found, _condition_finder(self._conditions)] if self._conditions else found


def _equal_finder(tag: str, table: dict[bytes, tuple[int, ...]]) -> Finder:
    def find(get: Get) -> tuple[int, ...]:
        return table.get(get(tag, b""), ())

    return find


def _condition_finder(tests: list[tuple[int, Test]]) -> Finder:
    def find(get: Get) -> tuple[int, ...]:
        return tuple([number for number, holds in tests if holds(get)])

    return find


def _one_by_one(tag: str, tests: Sequence[tuple[int, Pattern]]) -> Finder:
    plain = [(number, pattern.matches) for number, pattern in tests]

    def find(get: Get) -> tuple[int, ...]:
        value = get(tag, b"")
        return tuple([number for number, matches in plain if matches(value)])

    return find


def _sieved(tag: str, tests: Sequence[tuple[int, Pattern]]) -> Finder:
    by_source = _sources(tests)
    unsieved = by_source.pop(b"", [])
    try:
        sieve = new_sieve(list(by_source))
    except PatternError:  # too many for RE2's memory
        return _one_by_one(tag, tests)
    candidates = [unsieved, *by_source.values()]  # by the numbers of the sieve, which always finds 0
    everything = [(number, pattern.matches) for number, pattern in tests]

    def find(get: Get) -> tuple[int, ...]:
        value = get(tag, b"")
        found = sieve(value)
        if found is None:
            return tuple([number for number, matches in everything if matches(value)])
        return tuple([number for source in found for number, matches in candidates[source] if matches(value)])

    return find


def _sources(tests: Sequence[tuple[int, Pattern]]) -> dict[bytes, list[_Numbered]]:
    """The patterns by the expression that sieves them, b"" for those that nothing can sieve."""
    shared = Counter(literal for _, pattern in tests for literal in set(pattern.literals))
    by_source: dict[bytes, list[_Numbered]] = defaultdict(list)
    for number, pattern in tests:
        source = min(pattern.literals, key=lambda literal: (shared[literal], -len(literal)), default=b"")
        if not source or shared[source] > _SHARED:
            source = pattern.re2 or source
        by_source[source].append((number, pattern.matches))
    return by_source
