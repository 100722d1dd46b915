"""Switch: the step that routes: identify, rules, destinations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mfdata.config import InternalPlugins, StepConfig
from mfdata.file import File
from mfdata.outcome import Done, Failed, Outcome
from mfdata.step import Step
from mfdata.storage.places import Places
from mfdata.switch.identify import SYSTEM_MAGIC, ContentTags, Identifier, Unidentified
from mfdata.switch.rule_budget import EXPRESSION_S
from mfdata.switch.rule_pattern import hard_construct
from mfdata.switch.rules import Match, Rule, RuleSet, from_json, parse_condition, parse_rules, to_json
from mfext.errors import ConfigError, MetworkError, raise_all
from mfext.fs.atomic import replace_file
from mfext.plugin.manifest import Plugin
from mfext.section import Config, FreeSection

#: The tags that a switch finds out; they speak of the content, so that they are found out anew for every file.
PREFIX = "latest.switch.main."


#: Rules of one plugin: with very many of the kind that nothing can find quickly, every file of others would wait.
MAX_RULES = 10_000
_FEWER = "Say it by fewer patterns, or by a condition of the step."


@dataclass(frozen=True)
class Published:
    """The rules in force, as the file that the switch reads tells them."""

    rules: tuple[Rule, ...]
    #: Every ``plugin/step`` that a rule may name.
    steps: frozenset[str]
    no_match: str
    #: By ``plugin/step``: the priority that files get in its queue, where it declares one.
    priorities: Mapping[str, int] = field(default_factory=dict)

    def write(self, places: Places) -> None:
        """Put these rules in force: a switch that runs takes them before the next file."""
        places.rules.mkdir(parents=True, exist_ok=True)
        steps = sorted(self.steps)
        published = {"rules": to_json(self.rules), "steps": steps, "no_match": self.no_match}
        replace_file(rules_file(places), json.dumps(published | {"priorities": dict(self.priorities)}))

    @classmethod
    def read(cls, places: Places) -> Published:
        """The rules in force."""
        published = json.loads(rules_file(places).read_text())
        rules = tuple(from_json(published["rules"]))
        return cls(rules, frozenset(published["steps"]), published["no_match"], published.get("priorities", {}))

    def compiled(self) -> RuleSet:
        """The rules ready for use.

        Raises:
            ConfigError: some cannot be compiled, or name a step that does not exist.
        """
        return RuleSet(self.rules, self.steps)

    def fingerprint(self, compiled: RuleSet) -> str:
        """Changes when what is in force changes."""
        priorities = ",".join(f"{step}={priority}" for step, priority in sorted(self.priorities.items()))
        return ".".join(filter(None, (compiled.fingerprint, self.no_match, priorities)))


def rules_file(places: Places) -> Path:
    """Where the rules in force are written."""
    return places.rules / "rules.json"


def published(config: Config, plugins: Sequence[Plugin]) -> Published:
    """The rules that *plugins* declare.

    Raises:
        ConfigError: a rule cannot be read; all such errors at once.
    """
    rules: list[Rule] = []
    errors: list[MetworkError] = []
    for plugin in plugins:
        try:
            rules += rules_of(plugin)
        except MetworkError as error:
            errors.append(error)
    raise_all(errors)
    steps = {
        f"{plugin.name}/{name[5:]}": plugin.config.section(name, StepConfig).priority
        for plugin in plugins
        for name in plugin.config.names("step_*")
    }
    priorities = {step: priority for step, priority in steps.items() if priority >= 0}
    no_match = config.section("internal_plugins", InternalPlugins).switch_no_match_policy
    return Published(tuple(rules), frozenset(steps), no_match, priorities)


def rules_of(plugin: Plugin) -> list[Rule]:
    """The rules in the configuration of *plugin*, in its order."""
    rules: list[Rule] = []
    for name in plugin.config.names("step_*"):
        step = plugin.config.section(name, StepConfig)
        condition = step.switch_logical_condition
        if condition.strip() not in ("", "False"):
            origin = plugin.config.origin(name, "switch_logical_condition")
            rules.append(parse_condition(plugin.name, name[5:], condition, origin, step.switch_priority))
    for name in plugin.config.names("switch_rules:*"):
        section = plugin.config.section(name, FreeSection)
        pairs = [(pattern, text, section.origins[pattern]) for pattern, text in section.values.items()]
        rules += parse_rules(plugin.name, name, pairs)
    if len(rules) > MAX_RULES:
        raise ConfigError(
            f"{len(rules)} rules", where=f"{plugin.folder / 'config.ini'}", expected=f"{MAX_RULES} at most", mend=_FEWER
        )
    return rules


def identifying_rule(rules: Iterable[Rule]) -> Rule | None:
    """The first of *rules* for which libmagic is needed; None when it is for none (pure)."""
    word = SYSTEM_MAGIC.rpartition(".")[2]
    return next((rule for rule in rules if rule.type == "magic" or word in rule.tag or word in rule.pattern), None)


def slow_rules(rules: Iterable[Rule]) -> list[ConfigError]:
    """A warning for each of *rules* that RE2 cannot read, so that it may compute for ever, within its budget (pure).

    Raises:
        PatternError: one is no regular expression.
    """
    hard = [(rule, hard_construct(rule.pattern.encode())) for rule in rules if rule.type.endswith("regex")]
    return [
        ConfigError(
            f"{construct} can take very long on some names: a file on which it takes more than {EXPRESSION_S:g} s is "
            "quarantined as rule_error",
            where=rule.where,
            mend="Say it without that, or by several rules.",
        )
        for rule, construct in hard
        if construct
    ]


def queue_priorities(match: Match, of_steps: Mapping[str, int]) -> Mapping[str, int]:
    """The priorities of a file in the queues that it goes to, where they are not its own (pure).

    What a rule says of this file counts more than what a step says of all, *of_steps*.
    """
    said = {str(to): to.priority for to in match.destinations if to.priority >= 0}
    return {**of_steps, **said} if said else of_steps


class Switch(Step):
    """Identifies every file and hands it to all steps whose rules want it."""

    def open(self) -> None:
        """Take the rules in force."""
        self._identifier = Identifier()
        self.watched = (self.places.rules,)
        self._file = str(rules_file(self.places))
        self._stamp: tuple[int, int] | None = None
        self._refresh()

    def idle(self) -> None:
        """Take changed rules at once, not with the next file: whoever changed them waits for it."""
        self._refresh()

    def process(self, file: File) -> Outcome:
        """Route one file."""
        self._refresh()
        for name in [name for name in file.tags if name.startswith(PREFIX)]:
            del file.tags[name]
        tags = ContentTags(file.place, file.tags, self._identifier)
        match = self._rules.match(tags)
        file.tags.update(tags.computed)
        if match.error:
            return Failed(str(match.error), permanent=True, kind="rule_error")
        return self._routed(match)

    def _routed(self, match: Match) -> Outcome:
        if match.destinations:
            to = [f"{one}*" if one.hard_link else str(one) for one in match.destinations]
            return Done(to=to, priorities=queue_priorities(match, self._priorities))
        if self._no_match == "drop":
            return Done(dropped_by="switch_no_match_policy")
        if self._no_match == "keep":
            return Failed("no rule wants this file", permanent=True, kind="no_match")
        return Done(to=self._no_match, priorities=self._priorities)

    def _refresh(self) -> None:
        """Take the rules in force if they have changed; the old ones rule until the new ones are compiled."""
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        new = Published.read(self.places)
        rules = new.compiled()
        self._rules, self._no_match, self._stamp = rules, new.no_match, stamp
        self._priorities = new.priorities
        if SYSTEM_MAGIC in rules.tags:
            self._load_libmagic()
        self.say(rules=new.fingerprint(rules))

    def _load_libmagic(self) -> None:
        """Load it before the first file comes, which would pay for it otherwise."""
        try:
            self._identifier.open()
        except Unidentified as error:
            self.log.error("files cannot be identified by content", reason=error.message)


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns


if __name__ == "__main__":
    Switch.main()
