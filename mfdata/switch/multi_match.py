"""Multi-pattern matcher: which of many texts are in a value, found in one go. The only file that knows RE2 (pure)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from mfdata.switch.rule_budget import OverBudget

#: More lengths of beginnings and endings than this are dearer to cut out one by one than a pass of RE2.
_LENGTHS = 8


#: Instructions of an expression times bytes of a value that RE2 does in ``rule_budget.EXPRESSION_S`` at its worst.
_WORK = 13_000_000
#: An expression of so few instructions is quick on the longest value that a tag may have.
_SMALL = 200


class Unmatchable(Exception):
    """RE2 cannot take what it is given."""


@dataclass(frozen=True)
class Literal:
    """Plain text that a value holds, anywhere or at its start or end."""

    text: bytes
    at_start: bool = False
    at_end: bool = False

    @property
    def re2(self) -> bytes:
        """The same as an expression for RE2."""
        return (rb"\A" if self.at_start else b"") + re.escape(self.text) + (rb"\z" if self.at_end else b"")


#: What a matcher looks for: a text, or any expression for RE2.
Source = Literal | bytes
#: Gives the numbers, from 1, of the sources that are found in a value, in any order, and 0 whatever the value.
#: None says that nothing could be found out.
Matcher = Callable[[bytes], list[int] | None]


def new_matcher(sources: Sequence[Source]) -> Matcher:
    """A multi-pattern matcher: which of *sources*, by their numbers, a value may hold.

    Raises:
        Unmatchable: RE2 does not take one of them, or not so many together.
    """
    literals = [source for source in sources if isinstance(source, Literal)]
    if len(literals) == len(sources) and all(literal.at_start or literal.at_end for literal in literals):
        lengths = {(len(literal.text), literal.at_start, literal.at_end) for literal in literals}
        if len(lengths) <= _LENGTHS:
            return _affix_matcher(literals)
    return _re2_matcher(source.re2 if isinstance(source, Literal) else source for source in sources)


def linear_search(source: bytes) -> Callable[[bytes], object] | None:
    """A search for an expression that takes no longer than the value is long; None when RE2 does not know it.

    For a large expression each byte may cost as much as the expression is large: it raises OverBudget for values that
    may take longer than the budget, since nothing can interrupt RE2.
    """
    re2 = _engine()
    try:
        expression = re2.compile(source, _options())
    except re2.error:
        return None
    search: Callable[[bytes], object] = expression.search
    size = max(expression.programsize, expression.reverseprogramsize)
    return search if size <= _SMALL else _bounded(search, _WORK // size)


def _bounded(search: Callable[[bytes], object], longest: int) -> Callable[[bytes], object]:
    def found(value: bytes) -> object:
        if len(value) > longest:
            over = OverBudget(f"the expression is too large for a value of {len(value)} bytes, {longest} at most")
            over.search = found
            raise over
        return search(value)

    return found


def _affix_matcher(literals: Sequence[Literal]) -> Matcher:
    """Starts, ends and whole values, looked up by what is cut out of the value."""
    by_cut: dict[tuple[int | None, int | None], dict[bytes, int]] = defaultdict(dict)
    for number, literal in enumerate(literals, 1):
        size = len(literal.text)
        by_cut[None if literal.at_start else -size, None if literal.at_end else size][literal.text] = number
    tables = [(slice(*cut), table) for cut, table in by_cut.items()]

    def matcher(value: bytes) -> list[int]:
        found = [0]
        for cut, table in tables:
            number = table.get(value[cut])
            if number:
                found.append(number)
        return found

    return matcher


def _re2_matcher(sources: Iterable[bytes]) -> Matcher:
    re2 = _engine()
    matcher = re2.Set.SearchSet(_options())
    try:
        # The empty expression is found everywhere: an answer without it says that RE2 ran out of memory.
        for source in (b"", *sources):
            matcher.Add(source)
        matcher.Compile()
    except re2.error as error:
        raise Unmatchable(str(error)) from None
    match: Matcher = matcher.Match
    return match


@cache
def _engine() -> ModuleType:
    # 3 MB in every switch process: loaded only where rules need it.
    import re2

    module: ModuleType = re2
    return module


@cache
def _options() -> Any:
    options = _engine().Options()
    options.encoding = options.Encoding.LATIN1
    options.never_capture = True
    options.log_errors = False
    return options
