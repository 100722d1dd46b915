"""Section: a dataclass of options; Schema: the sections of a file; Config: their values, and where each comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeVar

from mfext.configuration.inifile import RawConfig, RawSection, Value
from mfext.configuration.secret import is_secret, masked
from mfext.errors import ConfigError
from mfext.option import Option, options_of

__all__ = ["FreeSection", "Section"]

#: Origin of a value that no file gives.
DEFAULT = "default"


class Section:
    """Base of the frozen dataclasses that declare a section; the docstring of each is the section's help."""


@dataclass(frozen=True)
class FreeSection(Section):
    """Any key is accepted."""

    #: Texts by key, in the order of the file.
    values: Mapping[str, str] = field(default_factory=dict)
    #: Where each comes from, by key: ``path:line`` or ``environment NAME``.
    origins: Mapping[str, str] = field(default_factory=dict)
    #: Where the section stands: ``path:line``.
    origin: str = ""


Kind = TypeVar("Kind", bound=Section)


class Row(NamedTuple):
    """One value, for a listing."""

    section: str
    key: str
    #: As it would be written in a file; secrets are masked.
    value: str
    origin: str


class Config(Mapping[str, Section]):
    """The sections of a configuration by name, checked, with the origin of every value."""

    def __init__(
        self,
        sections: Mapping[str, Section],
        origins: Mapping[tuple[str, str], str],
        variables: Mapping[str, str],
        source: str = "",
        unused: list[ConfigError] | None = None,
    ) -> None:
        self._sections = dict(sections)
        self._origins = dict(origins)
        self._variables = variables
        self._source = source
        self._lenient = unused is not None
        #: Overrides of keys that are not there, where those are left out instead of being errors.
        self.unused = unused or []

    def __getitem__(self, name: str) -> Section:
        return self._sections[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    def names(self, pattern: str = "*") -> list[str]:
        """Names of the sections that match the fnmatch *pattern*, in the order of the file."""
        return [name for name in self._sections if fnmatchcase(name, pattern)]

    def section(self, name: str, kind: type[Kind]) -> Kind:
        """The section *name* as a *kind*; a ``FreeSection`` is checked against what *kind* declares.

        Raises:
            ConfigError: it is not there, or does not hold what *kind* declares (``Several`` for more than one error).
        """
        from mfext.configuration.loading import section_of

        section = self._sections.get(name)
        if isinstance(section, kind):
            return section
        if section is not None and not isinstance(section, FreeSection):
            raise TypeError(f"[{name}] is a {type(section).__name__}, not a {kind.__name__}")
        if section is None and any(one.required for one in declared(kind).values()):
            raise ConfigError(f"there is no section [{name}]", where=self._source)
        free = section or FreeSection()
        values = {key: Value(text, free.origins.get(key, "")) for key, text in free.values.items()}
        if self._lenient:
            self._drop_unknown(name, kind, values)
        return section_of(kind, RawSection(name, free.origin or self._source, values), self._variables)

    def _drop_unknown(self, name: str, kind: type[Section], values: dict[str, Value]) -> None:
        """Take what only overrides set and *kind* does not declare out of *values*."""
        for key, value in list(values.items()):
            if key not in declared(kind) and not value.origin.startswith(f"{self._source}:"):
                self.unused.append(ConfigError("there is no such key any more", where=f"{value.origin} [{name}] {key}"))
                del values[key]

    def origin(self, section: str, key: str) -> str:
        """Where a value comes from: ``path:line``, ``environment NAME`` or ``default``."""
        return self._origins.get((section, key), DEFAULT)

    def digest(self) -> str:
        """Differs when a value in force does, be it secret or not; where it comes from does not count."""
        from hashlib import sha256

        content = repr([(name, _values(section)) for name, section in self._sections.items()])
        return sha256(content.encode(errors="surrogateescape")).hexdigest()[:16]

    def rows(self) -> list[Row]:
        """Every value in force."""
        return [
            Row(name, key, text, self.origin(name, key))
            for name, section in self._sections.items()
            for key, text in shown(section).items()
        ]


@dataclass(frozen=True)
class Schema:
    """The sections that a file may have."""

    #: By exact name or fnmatch pattern: ``general``, ``step_*``, ``switch_rules:*``.
    sections: Mapping[str, type[Section]]
    #: Exact names of the sections that must be there.
    required: tuple[str, ...] = ()
    #: Patterns whose sections only the first layer may bring, so that a slip in an override makes no new one.
    fixed: tuple[str, ...] = ()

    def kind(self, name: str) -> type[Section] | None:
        """What the section *name* declares; None when there is no such section."""
        if name in self.sections and not is_pattern(name):
            return self.sections[name]
        for pattern, kind in self.sections.items():
            if is_pattern(pattern) and fnmatchcase(name, pattern) and name != pattern.rstrip("*"):
                return kind
        return None

    def load(self, raw: RawConfig, variables: Mapping[str, str]) -> Config:
        """The configuration that *raw* stands for; *variables* are what ``{{NAME}}`` may name.

        Raises:
            ConfigError: something must be mended; all of it at once (``Several``).
        """
        from mfext.configuration.loading import load

        return load(self, raw, variables)


def declared(kind: type[Section]) -> Mapping[str, Option]:
    """The options of a *kind* of section; none for one that takes any key."""
    return {} if issubclass(kind, FreeSection) else options_of(kind)


def hides(kind: type[Section], key: str) -> bool:
    """Whether the value of *key* is secret: as a *kind* of section declares it, by its name where nothing does."""
    options = declared(kind)
    return options[key].secret if key in options else is_secret(key)


def _values(section: Section) -> Mapping[str, object]:
    # What repr() gives of a section leaves secrets out.
    return section.values if isinstance(section, FreeSection) else vars(section)


def is_pattern(name: str) -> bool:
    """Whether *name* stands for several sections."""
    return any(char in name for char in "*?[")


def variable_name(name: str) -> str:
    """A section or key as it is written in a variable: in capitals, what a variable cannot hold as '_'."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def shown(section: Section) -> dict[str, str]:
    """The values of *section* as texts, secrets masked."""
    if isinstance(section, FreeSection):
        return {key: masked(text, hides(FreeSection, key)) for key, text in section.values.items()}
    return {
        key: masked(option.text(getattr(section, option.attribute)), option.secret)
        for key, option in options_of(type(section)).items()
    }
