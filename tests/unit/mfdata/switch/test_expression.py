"""Conditions over tags: what holds, what is refused and how it says so, and that nothing dear or dangerous gets in."""

from __future__ import annotations

import builtins
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfdata.switch.expression import MAX_LENGTH, compile_condition
from mfdata.switch.expression_types import FUNCTIONS
from mfext.errors import ConfigError

TAGS = {
    "first.core.original_basename": b"T_PAGC01_C_LFPW_20240101.bin",
    "first.core.original_dirname": b"incoming",
    "latest.core.step_counter": b"2",
    "latest.switch.main.system_magic": b"PNG image data, 64 x 64, 8-bit grayscale",
    "raw": b"\xff\x00caf\xc3\xa9",
}


def holds(text: str) -> bool:
    return bool(compile_condition(text).holds(lambda tag, default: TAGS.get(tag, default)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # as MetWork's users write them
        ("( x['latest.switch.main.system_magic'].startswith(b'PNG image') )", True),
        ("( x['latest.switch.main.system_magic'].startswith(b'JPEG image') )", False),
        ('( b"image" in x["latest.switch.main.system_magic"] )', True),
        ("True", True),
        ("False", False),
        # a tag that the file has not
        ("x['no.such.tag'] == b''", True),
        ("not x['no.such.tag']", True),
        ("x['no.such.tag']", False),
        # text
        ("x['first.core.original_basename'].split(b'_')[3] == b'LFPW'", True),
        ("b'LFPW' in x['first.core.original_basename'].split(b'_')", True),
        ("x['first.core.original_basename'].endswith((b'.bin', b'.grib'))", True),
        ("x['first.core.original_basename'].endswith([b'.bin', b'.grib'])", True),
        ("x['first.core.original_basename'][:2] + b'Q' == b'T_Q'", True),
        ("x['first.core.original_basename'][-4:] in [b'.bin', b'.dat']", True),
        ("x['first.core.original_basename'].decode('ascii').lower()[0] == 't'", True),
        ("x['first.core.original_basename'].replace(b'_', b'').startswith(b'TPAGC01')", True),
        ("x['raw'].decode('utf-8', 'replace').endswith('café')", True),
        ("x['raw'].endswith('é'.encode())", True),
        ("x['raw'][0] == 255", True),
        ("x['first.core.original_basename'].partition(b'_')[2][0:4] == b'PAGC'", True),
        # numbers
        ("int(x['latest.core.step_counter']) % 2 == 0", True),
        ("len(x['raw']) * 2 - 1 >= 3 and -1 < 0 <= 1", True),
        ("max(len(x['raw']), 100) == 100 and min((3, 1, 2)) == 1", True),
        ("any((x['no.such.tag'], x['raw'])) and not all((x['no.such.tag'], x['raw']))", True),
        # on several lines, as continuation lines of a configuration file come
        ("( x['first.core.original_dirname'] == b'incoming' and\n    x['raw'] != b'' )", True),
    ],
)
def test_a_condition_holds(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "piece", "mend"),
    [
        ("x['a'] == 'PNG'", "x['a'] == 'PNG': bytes is compared with str", "write b'PNG'"),
        ("x['a'] == 'é'", "bytes is compared with str", "write 'é'.encode()"),
        ("x['a'].startswith('PNG')", "x['a'].startswith('PNG')", "write b'…'"),
        ("x['a'][0] == b'P'", "int is compared with bytes", "[0:1]"),
        ("b'image' in ['latest.switch.main.system_magic']", "bytes is compared with str list", "b'…'"),
        ("x['a'].find(b'PNG')", "a number is neither true nor false", ">= 0"),
        ("x['a'] and not x['a'].find(b'PNG')", "x['a'].find(b'PNG'): a number", ">= 0"),
        ("x['a'] is None", "None", "b''"),
        ("x['a'] = b'b'", "not a Python expression", "=="),
        ("x.get('a')", "x.get('a'): x has no methods", "x['name of a tag']"),
        ("x[b'a']", "x[b'a']: a tag is named by a plain str", "x['first.core.original_basename']"),
        ("x['a'].starswith(b'b')", 'no method "starswith"', '"startswith"'),
        ("lenn(x['a']) > 1", "lenn", "len"),
        ("foo.myrule", "foo.myrule", "functions of the plugin"),
        ("x['a'].split(b'_') == [b'a']", "bytes parts is compared with bytes list", ""),
        ("(b'a', 1)", "one kind (bytes, int)", ""),
        ("", "empty", "True"),
    ],
)
def test_a_refusal_shows_the_piece_and_the_mend(text: str, piece: str, mend: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        compile_condition(text, "plugins/foo/config.ini:12 [step_main] switch_logical_condition")
    assert str(refusal.value).startswith("plugins/foo/config.ini:12 [step_main] switch_logical_condition: ")
    assert piece in refusal.value.found
    assert mend in refusal.value.mend


@pytest.mark.parametrize(
    "text",
    [
        # reaching out
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "eval('1')",
        "x['a'].__class__.__mro__",
        "().__class__",
        "x['a'].startswith.__self__",
        "(lambda: 1)()",
        "print(x['a'])",
        "globals()",
        "x['a'].decode.__func__",
        "getattr(x['a'], 'lower')()",
        # running for ever
        "[c for c in x['a']]",
        "any(c for c in x['a'])",
        "{c for c in x['a']}",
        "[*x['a']]",
        "(a := 1)",
        "max(x['a'], key=len)",
        # growing
        "b'a' * 10**9",
        "b'a' * 1000000000",
        "2 ** 10000",
        "1 << 100000",
        "b'%1000000000d' % 1",
        "x['a'].ljust(1000000000)",
        "x['a'].rjust(1000000000)",
        "x['a'].center(1000000000)",
        "x['a'].zfill(1000000000)",
        "x['a'].expandtabs(1000000000)",
        "'{:1000000000}'.format(1)",
        "f'{1:1000000000}'",
        "x['a'].replace(b'', b'aaaaaaaaaa')",
        "x['a'].replace(b'a', x['a'])",
        "b'aaaaaaaaaa'.join((x['a'], x['a']))",
        "bytes(1000000000)",
        "x['a'].decode('punycode')",
        "x['a'].decode('utf-8', x['a'].decode())",
        "[b'a'] * 1000000000",
        # being too large for us
        "1 < 2 " + "and 1 < 2 " * 400,
        "not " * 200 + "True",
        "(" * 60 + "1 < 2" + " == True)" * 60,
        "x['a'] + " * 100 + "b''",
        "x['" + "a" * MAX_LENGTH + "']",
        # being no expression
        "import os",
        "x['a'] ==",
        "x['a'])(",
        "\x00",
        "lambda: 0",
        "yield",
        "await x",
        "...",
        "1.5 > 1",
    ],
)
def test_what_is_not_in_the_tables_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        compile_condition(text)


def test_checking_nested_comparisons_takes_no_time() -> None:
    text = "True"
    for _ in range(17):
        text = f"(True == {text} == True)"
    start = time.process_time()
    assert compile_condition(text).holds(lambda tag, default: default)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("int(x['raw']) > 1", ValueError),
        ("x['raw'].split(b'_')[7] == b''", IndexError),
        ("x['raw'].decode() == ''", UnicodeDecodeError),
        ("1 // len(x['no.such.tag']) == 1", ZeroDivisionError),
    ],
)
def test_what_an_expression_raises_gets_out(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        holds(text)


def test_only_the_tags_that_are_reached_are_asked_for() -> None:
    asked: list[str] = []

    def get(tag: str, default: bytes) -> bytes:
        asked.append(tag)
        return TAGS.get(tag, default)

    condition = compile_condition("x['first.core.original_dirname'] == b'other' and x['dear'] == b'a'")
    assert condition.tags == ("first.core.original_dirname", "dear")
    assert not condition.holds(get)
    assert asked == ["first.core.original_dirname"]


def test_functions_are_those_of_python() -> None:
    assert {name: getattr(builtins, name) for name in FUNCTIONS} == FUNCTIONS


def grown(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions made of *part*, sensible or not."""
    methods = ("startswith", "endswith", "find", "lower", "strip", "split", "partition", "replace", "decode", "encode")
    operators = (" == ", " < ", " in ", " not in ", " and ", " or ", " + ", " - ", " * ", " % ", " // ", " is ")
    return st.one_of(
        st.tuples(part, st.sampled_from(operators), part).map(lambda both: f"({''.join(both)})"),
        st.tuples(part, st.sampled_from(methods), st.lists(part, max_size=2)).map(
            lambda call: f"{call[0]}.{call[1]}({', '.join(call[2])})"
        ),
        st.tuples(st.sampled_from([*FUNCTIONS, "not ", "-"]), part).map(lambda call: f"{call[0]}({call[1]})"),
        st.tuples(part, part).map(lambda both: f"{both[0]}[{both[1]}]"),
        st.tuples(part, part, part).map(lambda three: f"{three[0]}[{three[1]}:{three[2]}]"),
        st.lists(part, min_size=1, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.lists(part, min_size=1, max_size=3).map(lambda parts: f"({', '.join(parts)},)"),
    )


LEAVES = st.sampled_from(
    ["x['raw']", "x['first.core.original_basename']", "b'_'", "b'1'", "'a'", "'utf-8'", "0", "2", "True"]
)


@given(st.recursive(LEAVES, grown, max_leaves=8))
@settings(max_examples=1500)
def test_no_accepted_condition_raises_type_error(text: str) -> None:
    try:
        condition = compile_condition(text)
    except ConfigError:
        return
    # what the value of a tag can cause, not the expression alone
    with suppress(ValueError, IndexError, ZeroDivisionError):
        condition.holds(lambda tag, default: TAGS.get(tag, default))


@given(st.text(alphabet="x['raw']b\"()=.+-*,:1 \n\\né{}", max_size=30))
def test_any_text_is_a_condition_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        compile_condition(text)
