"""Versions as rpm orders them, and requirements on them (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mfext.errors import ConfigError

_PARTS = re.compile(r"\d+|[A-Za-z]+|~|\^")
#: What rpm notes beside a version: less, greater, equal.
LESS, GREATER, EQUAL = 2, 4, 8
SENSES = {"<": LESS, ">": GREATER, "=": EQUAL, "<=": LESS | EQUAL, ">=": GREATER | EQUAL, "": 0}
_MASK = LESS | GREATER | EQUAL
_REQUIREMENT = re.compile(r"([A-Za-z0-9_-]+)\s*(?:(<=|>=|=|<|>)\s*([A-Za-z0-9._+~^]+(?:-[A-Za-z0-9._+~^]+)?))?")


@dataclass(frozen=True)
class Capability:
    """A name, with a version or a range of them: what an archive provides or requires."""

    name: str
    version: str = ""
    sense: int = 0

    def __str__(self) -> str:
        sign = next(sign for sign, sense in SENSES.items() if sense == self.sense & _MASK)
        return f"{self.name} {sign} {self.version}" if sign else self.name

    def is_met_by(self, version: str) -> bool:
        """Whether *version* (``VERSION`` or ``VERSION-RELEASE``) of what is named will do."""
        if not self.sense & _MASK:
            return True
        order = compare_full(version, self.version)
        return bool(self.sense & (LESS if order < 0 else GREATER if order > 0 else EQUAL))


def parse_requirement(text: str, where: str) -> Capability:
    """What *text* requires, such as ``other``, ``other >= 1.2``, ``other = 1.2-3``.

    Raises:
        ConfigError: it has another form.
    """
    match = _REQUIREMENT.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f'"{text}" is not understood', where=where, expected='for example "other_plugin >= 1.2"')
    return Capability(match[1], match[3] or "", SENSES[match[2] or ""])


def compare_full(one: str, other: str) -> int:
    """The order of two ``VERSION-RELEASE``; the releases count only where both have one."""
    version, _, release = one.partition("-")
    other_version, _, other_release = other.partition("-")
    order = compare(version, other_version)
    return compare(release, other_release) if order == 0 and release and other_release else order


def compare(one: str, other: str) -> int:
    """-1, 0 or 1 as *one* is older than, as old as or newer than *other*: the algorithm of rpm's ``rpmvercmp``."""
    if one == other:
        return 0
    parts, others = _PARTS.findall(one), _PARTS.findall(other)
    for part, its in zip(parts, others, strict=False):
        order = _compare_part(part, its)
        if order:
            return order
    return _compare_rest(parts[len(others) :], others[len(parts) :])


def _compare_part(part: str, other: str) -> int:
    if part == other:
        return 0
    for mark, order in (("~", -1), ("^", -1)):
        if mark in (part, other):
            return order if part == mark else -order
    if part.isdigit() != other.isdigit():
        return 1 if part.isdigit() else -1
    if part.isdigit():
        return (int(part) > int(other)) - (int(part) < int(other))
    return (part > other) - (part < other)


def _compare_rest(rest: list[str], others: list[str]) -> int:
    """What is longer is newer, but ``~`` makes it older."""
    if not rest and not others:
        return 0
    longer, order = (rest, 1) if rest else (others, -1)
    return -order if longer[0] == "~" else order


def rpm_version(version: str) -> str:
    """*version* with what rpm refuses in one replaced: only letters, digits and ``._+~^`` may stand in it."""
    return re.sub(r"[^A-Za-z0-9._+~^]", "_", version) or "0"
