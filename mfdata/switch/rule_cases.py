"""Rule cases: ``tests/rules.yaml`` of a plugin, which says of some files where its rules send them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfdata.storage.tags import first_tags
from mfdata.switch.identify import ContentTags
from mfdata.switch.rules import Match, RuleSet
from mfdata.switch.switch import rules_of
from mfext.errors import ConfigError, MetworkError, PluginError, nearest, raise_all

if TYPE_CHECKING:
    import yaml

    from mfext.plugin.manifest import Plugin

#: Where the cases of a plugin are.
CASES = Path("tests", "rules.yaml")
KEYS = ("file", "name", "dirname", "tags", "to")
_EXAMPLE = "- {name: A.grib2, to: [main]}"
#: A case is no file that came in: its identity is always this one.
_UID = "0" * 26


@dataclass(frozen=True)
class Case:
    """One case."""

    #: ``path:line``.
    origin: str
    #: Exactly these steps get the file by the rules of the plugin.
    to: frozenset[str]
    #: Gives the content tags; None = the file has only the tags that are said.
    file: Path | None = None
    #: The name that it comes in with; '' = that of *file*.
    name: str = ""
    dirname: str = "incoming"
    tags: Mapping[str, bytes] = field(default_factory=dict)

    def seen(self) -> Mapping[str, bytes]:
        """The tags that the rules see."""
        name = os.fsencode(self.name or (self.file.name if self.file else ""))
        tags = {**first_tags(_UID, name, os.fsencode(self.dirname)), **self.tags}
        return _TagsWithContent(self.file, tags, self.tags) if self.file else tags


class _TagsWithContent(ContentTags):
    """Content tags that the case itself says are not made from the content."""

    def __init__(self, path: Path, stored: Mapping[str, bytes], said: Mapping[str, bytes]) -> None:
        super().__init__(path, stored)
        self.computed.update(said)


def case_faults(plugin: Plugin) -> list[MetworkError]:
    """What the cases of *plugin* find wrong with its rules, or what is wrong with the cases; none without cases.

    Only the plugin's own rules are asked, so that a case holds whatever else is installed.
    """
    file = plugin.folder / CASES
    if not file.is_file():
        return []
    try:
        cases = read_cases(file, plugin.name)
        rules = rules_of(plugin)
        # Where the others' steps are is not the business of the cases.
        compiled = RuleSet(rules, {str(to) for rule in rules for to in rule.destinations})
    except MetworkError as error:
        return [error]
    steps = {f"{plugin.name}/{name[5:]}" for name in plugin.config.names("step_*")}
    known = steps | {str(to) for rule in rules for to in rule.destinations}
    return [fault for case in cases for fault in _faults(case, compiled.match(case.seen()), known)]


def _faults(case: Case, match: Match, known: set[str]) -> Iterator[MetworkError]:
    strange = sorted(case.to - known)
    if strange:
        yield ConfigError(
            f'no rule can send a file to "{strange[0]}"', where=case.origin, mend=nearest(strange[0], known)
        )
    elif match.error:
        yield PluginError(str(match.error), where=case.origin, expected=_listed(case.to))
    else:
        found = {str(to) for to in match.destinations}
        if found != case.to:
            because = "; ".join(rule.where for rule in match.rules)
            text = f"the rules send this file to {_listed(found)}" + (f" ({because})" if because else "")
            yield PluginError(text, where=case.origin, expected=_listed(case.to))


def _listed(steps: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(steps)) or "no step"


# ── read ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_cases(file: Path, plugin: str) -> list[Case]:
    """The cases in the YAML *file* of *plugin*.

    Raises:
        ConfigError: it is no YAML, or a case is none; all that is wrong at once, each with its line.
    """
    import yaml

    try:
        root = yaml.compose(file.read_text("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"this cannot be read: {error}", where=str(file)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise ConfigError(f"this is not YAML: {getattr(error, 'problem', '') or error}", where=where) from None
    if root is None:
        return []
    cases: list[Case] = []
    errors: list[MetworkError] = []
    for node in _items(root, file):
        try:
            cases.append(_case(node, file, plugin))
        except ConfigError as error:
            errors.append(error)
    raise_all(errors)
    return cases


def _case(node: yaml.Node, file: Path, plugin: str) -> Case:
    values = _mapping(node, file)
    for key, value in values.items():
        if key not in KEYS:
            raise ConfigError(f'"{key}" is not known', where=_where(value, file), mend=nearest(key, KEYS))
    where = _where(node, file)
    if "to" not in values:
        raise ConfigError("where the file goes is not said", where=where, expected="to: [STEP, ...], to: [] = nowhere")
    if not values.keys() & {"file", "name", "tags"}:
        raise ConfigError("of which file this speaks is not said", where=where, expected="file, name or tags")
    to = values["to"]
    words = [_text(one, file) for one in (_items(to, file) if _is(to, "seq") else [to])]
    return Case(
        where,
        frozenset(word if "/" in word else f"{plugin}/{word}" for word in (word.rstrip("*") for word in words)),
        _existing(values["file"], file) if "file" in values else None,
        **{key: _text(values[key], file) for key in ("name", "dirname") if key in values},
        tags={tag: _text(value, file).encode() for tag, value in _mapping(values.get("tags"), file).items()},
    )


def _existing(node: yaml.Node, file: Path) -> Path:
    """The file that a case names, from the folder of the cases."""
    path = file.parent / _text(node, file)
    if not path.is_file():
        raise ConfigError(f'there is no file "{path}"', where=_where(node, file), expected=f"a path from {file.parent}")
    return path


def _items(node: yaml.Node, file: Path) -> list[yaml.Node]:
    if not _is(node, "seq"):
        raise ConfigError("this is not a list", where=_where(node, file), expected=f"for example {_EXAMPLE}")
    return list(node.value)


def _mapping(node: yaml.Node | None, file: Path) -> dict[str, yaml.Node]:
    if node is None:
        return {}
    if not _is(node, "map"):
        raise ConfigError("these are not keys and values", where=_where(node, file), expected=f"for example {_EXAMPLE}")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key, file)
        if name in found:
            raise ConfigError(f'"{name}" is said twice', where=_where(key, file))
        found[name] = value
    return found


def _text(node: yaml.Node, file: Path) -> str:
    if not isinstance(node.value, str):
        raise ConfigError("this is not a text", where=_where(node, file))
    return str(node.value)


def _is(node: yaml.Node, kind: str) -> bool:
    return str(node.tag) == f"tag:yaml.org,2002:{kind}"


def _where(node: yaml.Node, file: Path) -> str:
    return f"{file}:{node.start_mark.line + 1}"
