"""Rules: which files go where. Read from plugins, compiled together, evaluated on a file's tags, explained (pure).

All rules are always evaluated; what they say adds up; their order is of no matter. A tag that the file has not is b''.
A rule that raises makes an error, never a "no match".
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from mfdata.switch.expression import Get, compile_condition
from mfdata.switch.identify import CONTENT_TAG_ALIASES, CONTENT_TAGS, SYSTEM_MAGIC, ContentTags, signature_of
from mfdata.switch.multi_match import Literal
from mfdata.switch.rule_budget import FILE_S, OverBudget, ProcessorTime
from mfdata.switch.rule_index import Finder, RuleIndex, Test
from mfdata.switch.rule_pattern import PatternError, fnmatch_pattern, regex_pattern
from mfext.errors import ConfigError, MetworkError, nearest, raise_all

#: Type of the rules that a step declares by its condition.
CONDITION = "switch_logical_condition"
#: Types of ``[switch_rules:TYPE:TAG]``, and of ``[switch_rules:TYPE]``.
TAG_TYPES = ("equal", "notequal", "fnmatch", "notfnmatch", "regex", "notregex")
PLAIN_TYPES = ("magic", "alwaystrue", "python")
TYPES = TAG_TYPES + PLAIN_TYPES
#: Types that match when their test does not hold.
_CONTRARY = ("not", "alwaystrue")

#: As a pattern of ``equal`` or ``fnmatch``: the file has no such tag.
NOT_FOUND = "{NOT_FOUND}"


@dataclass(frozen=True)
class Destination:
    """A step that gets the file."""

    plugin: str
    step: str
    #: It may share the content with others, for it never changes it.
    hard_link: bool = False
    #: Of the file in the step's queue: 0 comes first, 9 last; -1 = the rule says none.
    priority: int = -1

    def __str__(self) -> str:
        return f"{self.plugin}/{self.step}"

    @property
    def shown(self) -> str:
        """For people: with the priority, as a rule may have it."""
        return f"{self}@{self.priority}" if self.priority >= 0 else str(self)


@dataclass(frozen=True)
class Rule:
    """One rule as a plugin declares it."""

    plugin: str
    #: ``path:line``.
    origin: str
    #: One of TYPES, or CONDITION.
    type: str
    #: Name of the tag it looks at; '' for those that look at none, or at several.
    tag: str
    pattern: str
    destinations: tuple[Destination, ...]

    @property
    def where(self) -> str:
        """Place and name for messages: ``path:line [section] key``."""
        if self.type == CONDITION:
            return f"{self.origin} [step_{self.destinations[0].step}] {CONDITION}"
        named = self.tag if self.type != "magic" else ""
        return f"{self.origin} [{':'.join(filter(None, ('switch_rules', self.type, named)))}] {self.pattern}"


# ── read ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def parse_condition(plugin: str, step: str, text: str, origin: str, priority: int = -1) -> Rule:
    """The rule that ``switch_logical_condition`` of ``[step_STEP]`` declares: what it holds for goes to that step."""
    filled = text.replace("{plugin_name}", plugin).replace("{step_name}", step).strip()
    return Rule(plugin, origin, CONDITION, "", filled, (Destination(plugin, step, priority=priority),))


def parse_rules(plugin: str, section: str, pairs: Iterable[tuple[str, str, str]]) -> list[Rule]:
    """The rules of a section ``switch_rules:TYPE:TAG``, given as (pattern, destinations, origin).

    Raises:
        ConfigError: an unknown type, a tag that lacks or is too many, destinations that are none; all at once.
    """
    _, _, rest = section.partition(":")
    kind, _, tag = rest.partition(":")
    rules: list[Rule] = []
    errors: list[MetworkError] = []
    for pattern, destinations, origin in pairs:
        where = f"{origin} [{section}] {pattern}"
        try:
            _check_section(kind, tag, where)
            targets = tuple(_destinations(plugin, destinations, where))
        except ConfigError as error:
            errors.append(error)
            continue
        rules.append(Rule(plugin, origin, kind, SYSTEM_MAGIC if kind == "magic" else tag, _unescaped(pattern), targets))
    raise_all(errors)
    return rules


def _check_section(kind: str, tag: str, where: str) -> None:
    if kind not in TYPES:
        raise ConfigError(f'unknown type of rule "{kind}"', where=where, mend=nearest(kind, TYPES))
    if kind in PLAIN_TYPES and tag:
        raise ConfigError(f"{kind} rules take no tag", where=where, mend=f"Write [switch_rules:{kind}].")
    if kind not in PLAIN_TYPES and (not tag or "," in tag):
        example = f"[switch_rules:{kind}:first.core.original_basename]"
        raise ConfigError(f"{kind} rules look at one tag", where=where, mend=f"For example {example}.")


_DESTINATION_FORM = (
    "STEP or PLUGIN/STEP, with @ and a digit at its end for a priority, and a * when the step never changes the file"
)


def _destinations(plugin: str, text: str, where: str) -> Iterator[Destination]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        found = "an empty destination" if any(words) else "no destination"
        raise ConfigError(found, where=where, expected="STEP or PLUGIN/STEP, several with commas between")
    for word in words:
        name, at, priority = word.removesuffix("*").rstrip().partition("@")
        owner, slash, step = name.rpartition("/")
        if not step or (slash and not owner) or "/" in owner or len(name.split()) > 1 or "*" in name:
            raise ConfigError(f'"{word}" is no destination', where=where, expected=_DESTINATION_FORM)
        if at and not (len(priority) == 1 and priority.isascii() and priority.isdecimal()):
            raise ConfigError(
                f'"{word}": "{priority}" is no priority',
                where=where,
                expected="one digit behind the @: 0, which comes first, to 9",
                mend=f"For example {name}@0{'*' if word.endswith('*') else ''}.",
            )
        yield Destination(owner or plugin, step, word.endswith("*"), int(priority) if at else -1)


def _unescaped(pattern: str) -> str:
    # How MetWork's users had to write = and # in patterns; both may stand as they are today.
    return pattern.replace("@@@@@@", "=").replace("~~~~~~", "#")


def to_json(rules: Iterable[Rule]) -> str:
    """The rules as text that ``from_json`` reads."""
    return json.dumps([_row(rule) for rule in rules], separators=(",", ":"))


def from_json(text: str) -> list[Rule]:
    """The rules that ``to_json`` wrote."""
    return [
        Rule(plugin, origin, kind, tag, pattern, tuple(Destination(*target) for target in targets))
        for plugin, origin, kind, tag, pattern, targets in json.loads(text)
    ]


def _row(rule: Rule) -> tuple[str, str, str, str, str, list[tuple[str, str, bool, int]]]:
    targets = [(target.plugin, target.step, target.hard_link, target.priority) for target in rule.destinations]
    return rule.plugin, rule.origin, rule.type, rule.tag, rule.pattern, targets


# ── evaluate ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class RuleError:
    """A rule that raised."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f'the rule of plugin "{self.rule.plugin}" could not be evaluated: {self.rule.where}: {self.text}'


@dataclass(frozen=True)
class Match:
    """What all rules together say of a file."""

    #: Each step once, with the most urgent of the priorities that rules give it; it may get a hard link only if every
    #: rule that names it allows one.
    destinations: tuple[Destination, ...]
    rules: tuple[Rule, ...]
    #: The first rule that raised: whatever matched besides, the file's destinations are not known.
    error: RuleError | None = None


@dataclass(frozen=True)
class Explained:
    """What one rule says of a file."""

    rule: Rule
    #: The tags that it looks at, with the value that it saw.
    seen: Mapping[str, bytes]
    #: None: it raised.
    matched: bool | None
    error: str = ""


class RuleSet:
    """Rules compiled together.

    Args:
        rules: of all plugins.
        steps: every known step as ``plugin/step``.

    Raises:
        ConfigError: rules that cannot be compiled, destinations that do not exist; all of them at once.
    """

    #: Results kept ready: most files meet the same rules as some file before them.
    _KEPT = 4096

    def __init__(self, rules: Sequence[Rule], steps: Collection[str]) -> None:
        self.rules = tuple(rules)
        index = _Indexes()
        #: By the number of the rule; what a rule means is this, or its contrary.
        self._tests: list[Test] = []
        tags: set[str] = set()
        errors: list[MetworkError] = []
        for number, rule in enumerate(self.rules):
            errors += _destination_errors(rule, steps)
            try:
                test, asks_for = _add(index, number, rule)
                self._tests.append(test)
                tags.update(asks_for)
            except ConfigError as error:
                errors.append(error)
        raise_all(errors)
        #: Names of the tags that some rule may ask for.
        self.tags = frozenset(tags)
        self._finders = index.others.finders()
        self._content_finders = index.by_signature.finders()
        self._signatures = tuple(index.signatures)
        #: The rules whose tests name themselves when they take too long.
        self._bounded = {search: self.rules[number] for search, number in index.bounded.items()}
        self._contrary = frozenset(number for number, rule in enumerate(self.rules) if rule.type.startswith(_CONTRARY))
        self._matches: dict[tuple[tuple[int, ...], ...], Match] = {}

    @property
    def fingerprint(self) -> str:
        """Text that changes when, and only when, the rules do."""
        number = int.from_bytes(to_json(sorted(self.rules, key=_row)).encode(), "big")
        # The remainder by a prime: hashlib would load OpenSSL, 4 MB in every switch process.
        return f"{number % (2**128 - 159):032x}"

    def match(self, tags: Mapping[str, bytes]) -> Match:
        """What the rules say of a file with *tags*. Never raises, not even when reading a tag does."""
        get = tags.get
        try:
            with ProcessorTime(FILE_S):
                found = tuple([find(get) for find in (*self._finders, *self._content_finders_for(tags))])
        except OverBudget as over:
            rule = self._bounded.get(over.search)
            return Match((), (), RuleError(rule, _said(over))) if rule else self._match_one_by_one(tags)
        except Exception:  # a rule, or the making of a tag: one by one they tell which
            return self._match_one_by_one(tags)
        return self._matches.get(found) or self._keep(found)

    def _content_finders_for(self, tags: Mapping[str, bytes]) -> Sequence[Finder]:
        """The finders that ask libmagic, unless the first bytes of the file tell that it need not be asked."""
        if isinstance(tags, ContentTags) and not tags.may_begin(self._signatures):
            return ()
        return self._content_finders

    def explain(self, tags: Mapping[str, bytes]) -> list[Explained]:
        """What each rule says of a file with *tags*."""
        return [self._explained(number, tags.get) for number in range(len(self.rules))]

    def _keep(self, found: tuple[tuple[int, ...], ...]) -> Match:
        if len(self._matches) >= self._KEPT:
            self._matches.clear()
        numbers = self._contrary.symmetric_difference(chain.from_iterable(found))
        match = self._matches[found] = _match([self.rules[number] for number in sorted(numbers)])
        return match

    def _match_one_by_one(self, tags: Mapping[str, bytes]) -> Match:
        """As ``match``, with the rule that is to blame; what they cost together is bounded here as well."""
        matched: list[Rule] = []
        errors: list[RuleError] = []
        costs: list[float] = []
        begin = time.process_time()
        for number in range(len(self.rules)):
            start = time.process_time()
            if start - begin > FILE_S:
                break
            one = self._explained(number, tags.get)
            costs.append(time.process_time() - start)
            if one.matched:
                matched.append(one.rule)
            elif one.matched is None:
                errors.append(RuleError(one.rule, one.error))
        if len(costs) < len(self.rules) and not errors:
            costliest = self.rules[costs.index(max(costs))]
            errors.append(RuleError(costliest, f"the rules took more than {FILE_S:g} s for this file, this one most"))
        return _match(matched, errors[0] if errors else None)

    def _explained(self, number: int, get: Get) -> Explained:
        seen: dict[str, bytes] = {}

        def see(tag: str, default: bytes) -> bytes:
            seen[tag] = value = get(tag, default)
            return value

        try:
            with ProcessorTime(FILE_S):
                holds = bool(self._tests[number](see))
        except Exception as error:  # is what this rule says
            return Explained(self.rules[number], seen, None, _said(error))
        return Explained(self.rules[number], seen, holds != (number in self._contrary))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _match(rules: list[Rule], error: RuleError | None = None) -> Match:
    found: dict[str, Destination] = {}
    for rule in rules:
        for target in rule.destinations:
            known = found.get(str(target), target)
            given = [one.priority for one in (known, target) if one.priority >= 0]
            may_link = known.hard_link and target.hard_link
            found[str(target)] = Destination(target.plugin, target.step, may_link, min(given, default=-1))
    return Match(tuple(found.values()), tuple(rules), error)


# ── compile ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Indexes:
    """The rules by what it costs to test them."""

    def __init__(self) -> None:
        self.others = RuleIndex()
        #: Rules that hold for files with certain first bytes only, and ask libmagic first of all.
        self.by_signature = RuleIndex()
        self.signatures: set[bytes] = set()
        self.bounded: dict[object, int] = {}

    def of(self, tag: str, literals: Iterable[Literal]) -> RuleIndex:
        """Where a test belongs that holds for values of *tag* only that hold all of *literals*."""
        if CONTENT_TAG_ALIASES.get(tag, tag) != SYSTEM_MAGIC:
            return self.others
        signatures = [signature_of(literal.text) for literal in literals if literal.at_start]
        known = next((signature for signature in signatures if signature), None)
        if known is None:
            return self.others
        self.signatures.add(known)
        return self.by_signature


def _add(index: _Indexes, number: int, rule: Rule) -> tuple[Test, tuple[str, ...]]:
    """Compile *rule* into *index*; gives its test (of a _CONTRARY type: of when it does not match) and its tags."""
    kind = rule.type.removeprefix("not")
    if kind == "alwaystrue":
        return _never, ()
    if kind in (CONDITION, "python"):
        condition = compile_condition(rule.pattern, rule.where)
        for tag in condition.tags:
            _check_tag(tag, rule)
        tag, literal = condition.prefilter or ("", None)
        return index.of(tag, [literal] if literal else []).add_condition(number, condition), condition.tags
    _check_tag(rule.tag, rule)
    text = b"" if rule.pattern == NOT_FOUND else rule.pattern.encode("utf-8", "surrogateescape")
    if kind == "equal":
        whole = Literal(text, at_start=True, at_end=True)
        return index.of(rule.tag, [whole]).add_equal(number, rule.tag, text), (rule.tag,)
    try:
        pattern = regex_pattern(text) if kind == "regex" else fnmatch_pattern(text)
    except PatternError as error:
        raise ConfigError(str(error), where=rule.where) from None
    if pattern.bounded is not None:
        index.bounded[pattern.bounded] = number
    return index.of(rule.tag, pattern.literals).add_pattern(number, rule.tag, pattern), (rule.tag,)


def _never(get: Get) -> bool:  # noqa: ARG001
    return False


def _check_tag(tag: str, rule: Rule) -> None:
    """Refuse tags that only the switch could make, and does not: such a rule would look at nothing for ever."""
    known = (*CONTENT_TAGS, *CONTENT_TAG_ALIASES)
    if tag not in known and tag.startswith(tuple({name.rpartition(".")[0] + "." for name in known})):
        raise ConfigError(f'there is no tag "{tag}"', where=rule.where, mend=nearest(tag, CONTENT_TAGS))


def _destination_errors(rule: Rule, steps: Collection[str]) -> Iterator[ConfigError]:
    for target in rule.destinations:
        if str(target) in steps:
            continue
        plugins = {step.partition("/")[0] for step in steps}
        lacks = f'has no step "{target.step}"' if target.plugin in plugins else "is not installed"
        found = f'plugin "{rule.plugin}" sends files to "{target}", but plugin "{target.plugin}" {lacks}'
        yield ConfigError(found, where=rule.where, mend=nearest(str(target), steps))
