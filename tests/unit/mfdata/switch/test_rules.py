"""Rules: read, refused, evaluated, explained."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfdata.switch.rules import (
    CONDITION,
    TYPES,
    Destination,
    Rule,
    RuleSet,
    from_json,
    parse_condition,
    parse_rules,
    to_json,
)
from mfext.errors import ConfigError, MetworkError, Several

NAME = "first.core.original_basename"
DIRNAME = "first.core.original_dirname"
MAGIC = "latest.switch.main.system_magic"
STEPS = {"p/main", "p/other", "archive/main", "q/main"}


def rules(kind: str, *pairs: tuple[str, str], tag: str = NAME, plugin: str = "p") -> list[Rule]:
    section = f"switch_rules:{kind}" if kind in ("magic", "alwaystrue", "python") else f"switch_rules:{kind}:{tag}"
    return parse_rules(plugin, section, [(*pair, f"config.ini:{line}") for line, pair in enumerate(pairs, 1)])


def destinations(declared: list[Rule], tags: Mapping[str, bytes]) -> list[str]:
    match = RuleSet(declared, STEPS).match(tags)
    assert match.error is None
    return [f"{target}*" if target.hard_link else str(target) for target in match.destinations]


# ── read ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_section_of_rules_is_read() -> None:
    declared = parse_rules(
        "p",
        f"switch_rules:fnmatch:{NAME}",
        [("A*", "main", "config.ini:7"), ("*.grib2", " main , archive/main* ", "config.ini:8")],
    )
    assert declared == [
        Rule("p", "config.ini:7", "fnmatch", NAME, "A*", (Destination("p", "main"),)),
        Rule(
            "p", "config.ini:8", "fnmatch", NAME, "*.grib2",
            (Destination("p", "main"), Destination("archive", "main", hard_link=True)),
        ),
    ]  # fmt: skip
    assert str(declared[1].destinations[1]) == "archive/main"
    assert declared[0].where == f"config.ini:7 [switch_rules:fnmatch:{NAME}] A*"


def test_a_condition_is_a_rule_of_its_step() -> None:
    text = "x['latest.{plugin_name}.{step_name}.kind'] == b'{step_name}'"
    rule = parse_condition("p", "other", text, "config.ini:9")
    assert rule.pattern == "x['latest.p.other.kind'] == b'other'"
    assert rule.destinations == (Destination("p", "other"),)
    assert rule.where == f"config.ini:9 [step_other] {CONDITION}"
    assert destinations([rule], {"latest.p.other.kind": b"other"}) == ["p/other"]


def test_the_escapes_of_metwork_are_understood() -> None:
    assert [rule.pattern for rule in rules("equal", ("a@@@@@@b~~~~~~c", "main"), ("a=b#c", "main"))] == ["a=b#c"] * 2


@pytest.mark.parametrize(
    ("section", "destination", "says"),
    [
        ("switch_rules:fnmach:t", "main", 'unknown type of rule "fnmach". Did you mean "fnmatch"?'),
        ("switch_rules", "main", 'unknown type of rule ""'),
        ("switch_rules:fnmatch", "main", "look at one tag"),
        ("switch_rules:equal:a,b", "main", "look at one tag"),
        ("switch_rules:alwaystrue:t", "main", "Write [switch_rules:alwaystrue]."),
        ("switch_rules:fnmatch:t", "", "no destination"),
        ("switch_rules:fnmatch:t", "main,,other", "an empty destination"),
        ("switch_rules:fnmatch:t", "a/b/c", '"a/b/c" is no destination'),
        ("switch_rules:fnmatch:t", "/main", '"/main" is no destination'),
        ("switch_rules:fnmatch:t", "p/", '"p/" is no destination'),
        ("switch_rules:fnmatch:t", "main other", '"main other" is no destination'),
        ("switch_rules:fnmatch:t", "*", '"*" is no destination'),
        ("switch_rules:fnmatch:t", "main**", '"main**" is no destination'),
        ("switch_rules:fnmatch:t", "@3", '"@3" is no destination'),
        ("switch_rules:fnmatch:t", "main*@3", '"main*@3" is no destination'),
        ("switch_rules:fnmatch:t", "main@", '"main@": "" is no priority; expected one digit behind the @'),
        ("switch_rules:fnmatch:t", "main@10", '"main@10": "10" is no priority'),
        ("switch_rules:fnmatch:t", "main@²", '"main@²": "²" is no priority'),
        ("switch_rules:fnmatch:t", "q/main@high*", "For example q/main@0*."),
    ],
)
def test_what_cannot_be_read_is_refused(section: str, destination: str, says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_rules("p", section, [("A*", destination, "plugins/p/config.ini:3")])
    assert str(refusal.value).startswith(f"plugins/p/config.ini:3 [{section}] A*: ")
    assert says in str(refusal.value)


def test_all_errors_of_a_section_come_at_once() -> None:
    with pytest.raises(Several) as refusal:
        rules("fnmatch", ("A*", ""), ("B*", "main"), ("C*", "/"))
    assert len(refusal.value.errors) == 2


def test_rules_survive_json() -> None:
    declared = [*rules("fnmatch", ("é*\udcff", "main@0, q/main*")), parse_condition("p", "main", "True", "c:1")]
    assert from_json(to_json(declared)) == declared


# ── compile ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_that_cannot_be_compiled_is_told_at_once() -> None:
    declared = [
        *rules("regex", ("(a", "main")),
        *rules("python", ("open('f')", "main")),
        *rules("fnmatch", ("A*", "archve/main"), ("B*", "archive/mian"), ("C*", "main")),
        parse_condition("p", "main", "x['a'] == 'b'", "config.ini:9"),
    ]
    with pytest.raises(Several) as refusal:
        RuleSet(declared, STEPS)
    lines = str(refusal.value).splitlines()
    assert lines[0] == (
        f"config.ini:1 [switch_rules:regex:{NAME}] (a: missing ), unterminated subpattern at position 0"
    )
    assert lines[1].startswith("config.ini:1 [switch_rules:python] open('f'): open: this cannot be called.")
    assert lines[2] == (
        f'config.ini:1 [switch_rules:fnmatch:{NAME}] A*: plugin "p" sends files to "archve/main", '
        'but plugin "archve" is not installed. Did you mean "archive/main"?'
    )
    assert 'plugin "archive" has no step "mian"' in lines[3]
    assert lines[4].startswith(f"config.ini:9 [step_main] {CONDITION}: x['a'] == 'b': bytes is compared with str")
    assert len(lines) == 5


@pytest.mark.parametrize(
    "declared",
    [
        rules("fnmatch", ("A*", "main"), tag="latest.switch.main.system_magick"),
        rules("equal", ("A*", "main"), tag="latest.guess_file_type.main.foo_magic"),
        rules("python", ("x['latest.switch.main.magic'] == b'a'", "main")),
    ],
)
def test_a_tag_that_only_the_switch_could_make_and_does_not_is_refused(declared: list[Rule]) -> None:
    with pytest.raises(
        ConfigError, match=r"there is no tag \"latest\..*Did you mean \"latest.switch.main.system_magic\"\?"
    ):
        RuleSet(declared, STEPS)


def test_the_fingerprint_changes_when_and_only_when_the_rules_do() -> None:
    declared = [*rules("fnmatch", ("A*", "main"), ("B*", "main*")), *rules("equal", ("A", "main"))]
    fingerprint = RuleSet(declared, STEPS).fingerprint
    assert RuleSet(declared[::-1], {*STEPS, "new/step"}).fingerprint == fingerprint
    assert RuleSet(from_json(to_json(declared)), STEPS).fingerprint == fingerprint
    others = [declared[:2], [*declared, declared[0]], [*declared[:2], *rules("equal", ("A", "other"))]]
    assert len({RuleSet(other, STEPS).fingerprint for other in others} | {fingerprint}) == 4


# ── evaluate ───────────────────────────────────────────────────────────────────────────────────────────────────────

TAGS = {NAME: b"ABfoo.grib2", DIRNAME: b"incoming", MAGIC: b"PNG image data, 1 x 1", "raw": b"\xff\xfe"}


@pytest.mark.parametrize(
    ("kind", "pattern", "tag", "expected"),
    [
        ("equal", "ABfoo.grib2", NAME, True),
        ("equal", "ABfoo", NAME, False),
        ("equal", "{NOT_FOUND}", "no.such.tag", True),
        ("equal", "{NOT_FOUND}", NAME, False),
        ("notequal", "ABfoo", NAME, True),
        ("notequal", "ABfoo.grib2", NAME, False),
        ("fnmatch", "AB*.grib[12]", NAME, True),
        ("fnmatch", "ab*", NAME, False),
        ("fnmatch", "*", "no.such.tag", True),
        ("fnmatch", "?*", "no.such.tag", False),
        ("fnmatch", "\udcff*", "raw", True),
        ("notfnmatch", "AB*", NAME, False),
        ("notfnmatch", "AB*", "no.such.tag", True),
        ("regex", r"\.grib2?$", NAME, True),
        ("regex", r"foo", NAME, True),
        ("regex", r"^foo", NAME, False),
        ("notregex", r"^foo", NAME, True),
        ("notregex", r"foo", NAME, False),
        ("magic", "PNG image*", MAGIC, True),
        ("magic", "JPEG image*", MAGIC, False),
        ("alwaystrue", "whatever (", NAME, True),
        ("python", f"x['{NAME}'][:1] == b'A' and x['no.such.tag'] == b''", NAME, True),
        ("python", "False", NAME, False),
    ],
)
def test_a_rule_of_each_type(kind: str, pattern: str, tag: str, expected: bool) -> None:
    declared = rules(kind, (pattern, "main"), tag=tag)
    assert destinations(declared, TAGS) == (["p/main"] if expected else [])
    assert [one.matched for one in RuleSet(declared, STEPS).explain(TAGS)] == [expected]


def test_every_type_is_tested_above() -> None:
    marks = test_a_rule_of_each_type.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for mark in marks for case in mark.args[1]} == set(TYPES)


def test_rules_add_up_whatever_their_order() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main"), ("B*", "other"), ("AB*", "archive/main")),
        *rules("magic", ("PNG*", "q/main")),
    ]
    assert sorted(destinations(declared, TAGS)) == ["archive/main", "p/main", "q/main"]
    assert sorted(destinations(declared[::-1], TAGS)) == ["archive/main", "p/main", "q/main"]


def test_a_destination_listed_twice_is_one() -> None:
    declared = rules("fnmatch", ("A*", "main, main"), ("AB*", "p/main, other*"), ("*", "other*"))
    assert destinations(declared, TAGS) == ["p/main", "p/other*"]


def test_a_hard_link_is_made_only_where_every_rule_allows_it() -> None:
    declared = rules("fnmatch", ("A*", "main*, other*"), ("AB*", "main"))
    assert destinations(declared, TAGS) == ["p/main", "p/other*"]
    assert destinations(declared[::-1], TAGS) == ["p/main", "p/other*"]


def test_a_destination_may_have_a_priority() -> None:
    (rule,) = rules("fnmatch", ("WARNING_*", "main@0, archive/main@8 *, other*"))
    assert rule.destinations == (
        Destination("p", "main", priority=0),
        Destination("archive", "main", hard_link=True, priority=8),
        Destination("p", "other", hard_link=True),
    )
    assert [str(to) for to in rule.destinations] == ["p/main", "archive/main", "p/other"]
    assert [to.shown for to in rule.destinations] == ["p/main@0", "archive/main@8", "p/other"]


def test_the_most_urgent_of_the_rules_that_match_counts() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main@4, other@9"), ("AB*", "main"), ("*.grib2", "main@2"), ("B*", "main@0")),
        parse_condition("p", "other", "True", "c:1", priority=7),
    ]
    for order in (declared, declared[::-1]):
        match = RuleSet(order, STEPS).match(TAGS)
        assert {str(to): to.priority for to in match.destinations} == {"p/main": 2, "p/other": 7}


def test_the_rules_that_matched_are_told() -> None:
    declared = rules("fnmatch", ("A*", "main"), ("B*", "main"), ("*.grib2", "main"))
    assert RuleSet(declared, STEPS).match(TAGS).rules == (declared[0], declared[2])


def test_a_rule_that_raises_is_an_error_and_never_no_match() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main")),
        *rules("python", (f"int(x['{NAME}']) > 1", "other"), plugin="bad"),
        *rules("notequal", ("x", "q/main")),
    ]
    compiled = RuleSet(declared, {*STEPS, "bad/other"})
    match = compiled.match(TAGS)
    assert match.error is not None
    assert match.error.rule == declared[1]
    assert "ValueError: invalid literal for int()" in match.error.text
    assert str(match.error).startswith('the rule of plugin "bad" could not be evaluated: config.ini:1 [switch_rules:py')
    assert [str(target) for target in match.destinations] == ["p/main", "q/main"]
    # and the next file is not touched by it
    assert compiled.match({NAME: b"7"}).error is None
    assert [str(target) for target in compiled.match({NAME: b"7"}).destinations] == ["bad/other", "q/main"]


class Lazy(dict[str, bytes]):
    """Tags that note what is asked for, and cannot make one."""

    def __init__(self, broken: str = "") -> None:
        super().__init__(TAGS)
        self.broken = broken
        self.asked: list[str] = []

    def get(self, name: str, default: bytes = b"") -> bytes:  # type: ignore[override]
        self.asked.append(name)
        if name == self.broken:
            raise MetworkError("libmagic: no")
        return super().get(name, default)


def test_a_tag_is_asked_for_only_by_the_rules_that_look_at_it() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main"), ("B*", "main")),
        *rules("python", (f"x['{NAME}'] == b'no' and x['{MAGIC}'] == b''", "main")),
    ]
    tags = Lazy()
    RuleSet(declared, STEPS).match(tags)
    assert set(tags.asked) == {NAME}


def test_a_tag_that_cannot_be_made_is_the_error_of_the_rules_that_need_it() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main")),
        *rules("python", (f"x['{NAME}'] == b'no' and x['{MAGIC}'] == b''", "main")),
        *rules("magic", ("PNG*", "other")),
    ]
    match = RuleSet(declared, STEPS).match(Lazy(MAGIC))
    assert match.error is not None
    assert match.error.rule == declared[2]
    assert match.error.text == "MetworkError: libmagic: no"
    assert [one.matched for one in RuleSet(declared, STEPS).explain(Lazy(MAGIC))] == [True, False, None]


def test_explain_shows_what_each_rule_saw() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main")),
        *rules("notregex", ("x", "main"), tag="no.such.tag"),
        *rules("python", (f"x['{NAME}'] == b'' and x['{MAGIC}']", "main"), (f"int(x['{MAGIC}']) == 1", "main")),
        *rules("alwaystrue", ("x", "main")),
    ]
    explained = RuleSet(declared, STEPS).explain(TAGS)
    assert [one.rule for one in explained] == declared
    assert [one.seen for one in explained] == [
        {NAME: TAGS[NAME]},
        {"no.such.tag": b""},
        {NAME: TAGS[NAME]},
        {MAGIC: TAGS[MAGIC]},
        {},
    ]
    assert [one.matched for one in explained] == [True, True, False, None, True]
    assert explained[3].error.startswith("ValueError: ")


def test_the_tags_that_rules_may_ask_for_are_known() -> None:
    declared = [
        *rules("fnmatch", ("A*", "main")),
        *rules("alwaystrue", ("A*", "main")),
        parse_condition("p", "main", "x['a'] == b'' and x['b'] == b''", "c:1"),
    ]
    assert RuleSet(declared, STEPS).tags == {NAME, "a", "b"}


def test_no_rules_match_nothing() -> None:
    match = RuleSet([], STEPS).match(TAGS)
    assert (match.destinations, match.rules, match.error) == ((), (), None)


def test_results_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RuleSet, "_KEPT", 4)
    compiled = RuleSet(rules("fnmatch", *((f"*{letter}*", "main") for letter in "abcd")), STEPS)
    for text in (b"", b"a", b"b", b"c", b"d", b"ab", b"ac", b"a"):
        assert len(compiled.match({NAME: text}).rules) == len(text)
        assert len(compiled._matches) <= 4


# ── with many rules as with one ────────────────────────────────────────────────────────────────────────────────────


#: Conditions, with and without a first part that prefilters them, and what they say of name and magic.
CONDITIONS: dict[str, Callable[[bytes, bytes], bool]] = {
    f"b'a' in x['{NAME}']": lambda name, magic: b"a" in name,
    f"b'' in x['{NAME}']": lambda name, magic: True,
    f"x['{NAME}'].startswith(b'a')": lambda name, magic: name.startswith(b"a"),
    f"x['{NAME}'].startswith(b'')": lambda name, magic: True,
    f"x['{NAME}'].startswith(b'b', 1)": lambda name, magic: name.startswith(b"b", 1),
    f"x['{NAME}'].startswith((b'a', b'b'))": lambda name, magic: name.startswith((b"a", b"b")),
    f"x['{NAME}'].endswith(b'_1') and x['{MAGIC}'] == b'a'": lambda name, magic: name.endswith(b"_1") and magic == b"a",
    f"x['{NAME}'].endswith(b'')": lambda name, magic: True,
    f"x['{NAME}'] == b'ab'": lambda name, magic: name == b"ab",
    f"x['{NAME}'] == b''": lambda name, magic: name == b"",
    f"x['{NAME}'] != b'ab' and b'a' in x['{NAME}']": lambda name, magic: name != b"ab" and b"a" in name,
    f"x['{NAME}'].startswith(b'a') or b'b' in x['{MAGIC}']": lambda name, magic: name[:1] == b"a" or b"b" in magic,
    f"not x['{NAME}'].startswith(b'a')": lambda name, magic: not name.startswith(b"a"),
    f"b'a' not in x['{MAGIC}']": lambda name, magic: b"a" not in magic,
    f"(b'a' in x['{NAME}'] and b'b' in x['{NAME}']) and b'1' in x['{NAME}']": lambda name, magic: {*b"ab1"} <= {*name},
    f"b'a' < x['{NAME}'] == b'b'": lambda name, magic: name == b"b",
}


def naive(rule: Rule, tags: Mapping[str, bytes]) -> bool:
    """What the documentation says of one rule."""
    value, text = tags.get(rule.tag, b""), rule.pattern.encode()
    kind = rule.type.removeprefix("not")
    tests: dict[str, Callable[[], bool]] = {
        "equal": lambda: value == text,
        "fnmatch": lambda: fnmatch.fnmatchcase(value, text),
        "magic": lambda: fnmatch.fnmatchcase(value, text),
        "regex": lambda: re.search(text, value) is not None,
        "alwaystrue": lambda: True,
        "python": lambda: CONDITIONS[rule.pattern](tags.get(NAME, b""), tags.get(MAGIC, b"")),
    }
    held = tests[kind]()
    return held != rule.type.startswith("not")


def declared_rules() -> Iterator[st.SearchStrategy[list[Rule]]]:
    text = st.text(alphabet="ab_.1", min_size=1, max_size=4)
    pieces = st.lists(text | st.sampled_from(["*", "?", "[ab]", "a*b"]), min_size=1, max_size=3).map("".join)
    expressions = st.lists(
        text.map(re.escape) | st.sampled_from([".*", "^", "$", "(a|b)", r"\d", "(?!a)"]), min_size=1, max_size=3
    )
    patterns = {
        "equal": text, "fnmatch": pieces, "regex": expressions.map("".join), "magic": pieces,
        "alwaystrue": text, "python": st.sampled_from(list(CONDITIONS)),
    }  # fmt: skip
    for kind in TYPES:
        tags = st.just(MAGIC) if kind == "magic" else st.sampled_from([NAME, DIRNAME, MAGIC])
        pattern = patterns[kind.removeprefix("not")]
        yield st.lists(st.builds(rule_of, st.just(kind), tags, pattern), max_size=12)


def rule_of(kind: str, tag: str, pattern: str) -> Rule:
    return Rule("p", "c:1", kind, tag, pattern, (Destination("p", "main"),))


TEXTS = st.text(alphabet="ab_.1", max_size=8).map(str.encode)


@given(
    st.tuples(*declared_rules()).map(lambda lists: [rule for part in lists for rule in part]),
    st.lists(st.fixed_dictionaries({}, optional={NAME: TEXTS, DIRNAME: TEXTS, MAGIC: TEXTS}), min_size=1, max_size=4),
)
@settings(max_examples=150)
def test_the_index_finds_what_a_loop_over_the_rules_finds(declared: list[Rule], files: list[dict[str, bytes]]) -> None:
    compiled = RuleSet(declared, STEPS)
    for tags in files:
        expected = tuple(rule for rule in declared if naive(rule, tags))
        match = compiled.match(tags)
        assert match.error is None
        assert match.rules == expected
        assert tuple(one.rule for one in compiled.explain(tags) if one.matched) == expected


@pytest.mark.parametrize(
    "pattern",
    ["A{0:04}*", "*.s{0:04}", "*_X{0:04}_*", "T_*_{0:04}*.bin", "T_PAGC_LFPW_*_{0:04}", "T_[A-Z]*{0:04}?"],
)
def test_a_thousand_patterns_find_their_own_value(pattern: str) -> None:
    declared = rules("fnmatch", *((pattern.format(number), "main") for number in range(1000)))
    compiled = RuleSet(declared, STEPS)
    for number in range(0, 1000, 37):
        value = pattern.format(number).replace("[A-Z]", "Q").replace("*", "zz").replace("?", "z").encode()
        expected = tuple(rule for rule in declared if fnmatch.fnmatchcase(value, rule.pattern.encode()))
        assert declared[number] in expected
        assert compiled.match({NAME: value}).rules == expected


def test_patterns_are_found_even_where_re2_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfdata.switch.rule_index.new_matcher", lambda sources: lambda value: None)
    declared = rules("fnmatch", *((f"A{number}*", "main") for number in range(20)))
    assert RuleSet(declared, STEPS).match({NAME: b"A7x"}).rules == (declared[7],)
