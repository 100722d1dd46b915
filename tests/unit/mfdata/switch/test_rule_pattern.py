"""Patterns of rules: what they match is what Python's fnmatch and re match, whichever engine runs them."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfdata.switch.multi_match import new_matcher
from mfdata.switch.rule_pattern import Pattern, PatternError, fnmatch_pattern, hard_construct, regex_pattern


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("A*", b"Afoo", True),
        ("A*", b"BA", False),
        ("*.grib2", b"a\nb.grib2", True),
        ("*.grib2", b"a.grib2\n", False),
        ("T_?AGC[0-9][!a]*", b"T_PAGC0B_", True),
        ("T_?AGC[0-9][!a]*", b"T_PAGC0a_", False),
        ("[[]x]", b"[x]", True),
        ("[]x]y", b"]y", True),
        ("a[b", b"a[b", True),
        ("caf\u00e9*", "caf\u00e9.grib".encode(), True),
        ("", b"", True),
        ("", b"a", False),
        ("*", b"\xff\x00", True),
    ],
)
def test_fnmatch(pattern: str, value: bytes, expected: bool) -> None:
    assert bool(fnmatch_pattern(pattern.encode()).matches(value)) is expected


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        (r".foo$", b"incoming.foo", True),
        (r".foo$", b"foo", False),
        (r".foo$", b"incoming.foo\n", True),
        (r"foo|bar$", b"xfoox", True),
        (r"^T_(PAGC|PAHR)\d{2}_", b"T_PAHR01_C", True),
        (r"(?i)\.GRIB$", b"x.grib", True),
        (r"a\sb", b"a\x0bb", True),
        (r"[^\s]", b"\x0b", False),
        (r"x{,2}y\Z", b"xxy", True),
        (r"x{,2}y\Z", b"y\n", False),
        (r"^GRIB....\x02", b"GRIB\xff\xff\xc3\xa9\x02", True),
        ("^\u00e9+$", "\u00e9\u00e9".encode(), True),
        ("^(\u00e9|\u00e8)$", "\u00e8".encode(), True),
        (r"(.)\1", b"aa", True),
        (r"foo(?!bar)", b"foobar", False),
        (r"(?<=a)b", b"ab", True),
        (r"(a$)\n", b"a\n", True),
        (r"(?m)^b$", b"a\nb\nc", True),
        (r"[[a]", b"[", True),
        (r"\101", b"A", True),
        (r"", b"", True),
    ],
)
def test_regex(pattern: str, value: bytes, expected: bool) -> None:
    assert bool(regex_pattern(pattern.encode()).matches(value)) is expected


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(a", "position 0"), ("a**", "position 2"), ("[a", "position 0"), ("a{2}{3}", "repeat"), (r"\Q", "escape")],
)
def test_a_bad_regex_is_refused_with_its_position(pattern: str, says: str) -> None:
    with pytest.raises(PatternError, match=says):
        regex_pattern(pattern.encode())


def test_a_posix_class_is_refused_for_python_means_something_else() -> None:
    with pytest.raises(PatternError, match="a-zA-Z"):
        regex_pattern(b"^[[:alpha:]_]+$")


@pytest.mark.parametrize("compiled", [fnmatch_pattern, regex_pattern])
def test_a_set_of_characters_that_are_several_bytes_is_refused(compiled: object) -> None:
    with pytest.raises(PatternError, match="several bytes"):
        compiled("a[éè]*".encode())  # type: ignore[operator]


@pytest.mark.parametrize("pattern", [b"^(a+)+$", b"^(a|aa)+$", b"^(a*)*b|c$", b"(.*)(.*)(.*)(.*)(.*)x$"])
def test_no_regex_that_re2_knows_takes_long(pattern: bytes) -> None:
    compiled = regex_pattern(pattern)
    start = time.process_time()
    assert not compiled.matches(b"a" * 5000 + b"!")
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "pattern",
    [
        b"^([A-Za-z0-9]{1,40}_?){1,40}[.]grib",
        rb"^(?!x)(a+)+$(?<!b)[.]",
        rb"(a*)(a*)(a*)(a*)(a*)(a*)\1\2x",
        b"(?=a)(a|aa)+x",
        b"(a++a*)*(?!b)x",
    ],
)
def test_what_cannot_match_is_told_without_re(pattern: bytes) -> None:
    compiled = regex_pattern(pattern)
    assert compiled.re2 is None
    start = time.process_time()
    for _ in range(100):
        assert not compiled.matches(b"a" * 200 + b"!")
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        (b"^a.*b$", ""),
        (b"^(a+)+$", ""),
        (b"^(?!x)a", "(?!"),
        (rb"(a)b\1", r"\1"),
        (b"^([A-Za-z0-9]{1,40}_?){1,40}[.]grib", "what is repeated so many times"),
    ],
)
def test_what_re2_cannot_read_is_named(pattern: bytes, construct: str) -> None:
    assert hard_construct(pattern) == construct


# ── the same answers as Python ─────────────────────────────────────────────────────────────────────────────────────

VALUES = st.text(alphabet="ab_.1 \n\u00e9", max_size=12).map(str.encode) | st.binary(max_size=6)
PARTS = st.sampled_from(
    [
        *"ab_1. \n",
        *"^$|()*+?",
        *("[ab]", "[^a]", r"[\s_]", r"[^\s]", r"[\d.]", "[]a]", "[a-b1]", r"[\n]", "[.]", "[[a]", "[a:]"),
        *(r"\.", r"\d", r"\s", r"\S", r"\w", r"\W", r"\b", r"\B", r"\A", r"\Z", r"\n", r"\x61", r"\_", r"\1", r"\0"),
        *("(?:", "(?i:", "(?P<n>", "(?=", "(?!", "(?<=a)", "(?>", "(?#c)", "(?i)", "(?s)", "(?m)"),
        *("{2}", "{,2}", "{1,}", "{0,1}", "{", "}", "*?", "+?", "\u00e9", "ab_", "a*"),
    ]
)


@given(st.lists(PARTS, max_size=7).map("".join), st.lists(VALUES, min_size=1, max_size=6))
@settings(max_examples=1000)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_regex_is_re_search(pattern: str, values: list[bytes]) -> None:
    # A character of several bytes is one for a quantifier here, which it is not for re.
    expected = re.sub("\u00e9", "(?:\u00e9)", pattern).encode()
    try:
        search = re.compile(expected).search
    except re.error:
        with pytest.raises(PatternError):
            regex_pattern(pattern.encode())
        return
    compiled = regex_pattern(pattern.encode())
    for value in values:
        assert bool(compiled.matches(value)) is (search(value) is not None)
        check_prefilters(compiled, value)


@given(st.text(alphabet="ab_1.*?[]!-\\\n", max_size=8).map(str.encode), st.lists(VALUES, min_size=1, max_size=6))
@settings(max_examples=1000)
def test_fnmatch_is_fnmatchcase(pattern: bytes, values: list[bytes]) -> None:
    compiled = fnmatch_pattern(pattern)
    for value in values:
        assert bool(compiled.matches(value)) is fnmatch.fnmatchcase(value, pattern)
        check_prefilters(compiled, value)


def check_prefilters(pattern: Pattern, value: bytes) -> None:
    """Whatever may stand for the pattern in a matcher finds every value that it matches."""
    if pattern.wider and pattern.matches(value):
        assert 1 in (new_matcher([pattern.wider])(value) or ())
    sources = [*(literal.re2 for literal in pattern.literals), *([pattern.re2] if pattern.re2 else [])]
    found = new_matcher(sources)(value)
    assert found is not None
    assert 0 in found
    if pattern.matches(value):
        assert set(found) == set(range(len(sources) + 1))
    elif pattern.re2:
        assert len(sources) not in found
