"""Sieves find every text that is there and no other, by whichever way."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfdata.switch.multi_match import Literal, Unmatchable, linear_search, new_matcher

TEXTS = st.text(alphabet="ab_.\u00e9\n", min_size=1, max_size=4).map(str.encode)
LITERALS = st.builds(Literal, TEXTS, at_start=st.booleans(), at_end=st.booleans())
AFFIXES = LITERALS.filter(lambda literal: literal.at_start or literal.at_end)


def is_in(literal: Literal, value: bytes) -> bool:
    if literal.at_start and literal.at_end:
        return value == literal.text
    if literal.at_start or literal.at_end:
        return value.startswith(literal.text) if literal.at_start else value.endswith(literal.text)
    return literal.text in value


@given(
    st.lists(AFFIXES, max_size=6, unique=True) | st.lists(LITERALS, max_size=6, unique=True),
    st.text(alphabet="ab_.\u00e9\n", max_size=8).map(str.encode),
)
def test_a_matcher_finds_what_is_there(literals: list[Literal], value: bytes) -> None:
    expected = [0, *(number for number, literal in enumerate(literals, 1) if is_in(literal, value))]
    assert sorted(new_matcher(literals)(value) or ()) == expected
    assert sorted(new_matcher([*literals, b"a|b"])(value) or ())[: len(expected)] == expected


def test_starts_and_ends_of_few_lengths_need_no_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfdata.switch.multi_match._engine", lambda: pytest.fail("RE2 was loaded"))
    literals = [Literal(b"A%03d" % number, at_start=True) for number in range(500)]
    literals += [Literal(b".g%d" % number, at_end=True) for number in range(500)]
    assert new_matcher(literals)(b"A007_x.g499") == [0, 8, 1000]


def test_many_lengths_are_no_dearer(monkeypatch: pytest.MonkeyPatch) -> None:
    literals = [Literal(b"a" * size, at_start=True) for size in range(1, 200)]
    assert sorted(new_matcher(literals)(b"aaab") or ()) == [0, 1, 2, 3]
    assert "re2" in sys.modules


def test_what_re2_does_not_know_is_told() -> None:
    assert linear_search(rb"(?=a)") is None
    with pytest.raises(Unmatchable):
        new_matcher([rb"(?=a)"])
