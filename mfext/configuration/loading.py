"""Loading: from texts to checked sections, with everything that is wrong reported at once (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from mfext.configuration.inifile import RawConfig, RawSection, Value, expanded
from mfext.errors import ConfigError, MetworkError, nearest, raise_all
from mfext.option import quoted
from mfext.section import Config, FreeSection, Kind, Schema, Section, declared, is_pattern, variable_name


def load(schema: Schema, raw: RawConfig, variables: Mapping[str, str]) -> Config:
    """What ``Schema.load`` gives."""
    loader = _Loader(schema, raw, variables)
    config = loader.load()
    raise_all(sorted(loader.errors, key=lambda error: _place(error.where)))
    return config


def section_of(kind: type[Kind], raw: RawSection, variables: Mapping[str, str]) -> Kind:
    """The *kind* of section that *raw*, whose placeholders are expanded, stands for.

    Raises:
        ConfigError: it does not hold what *kind* declares (``Several`` for more than one error).
    """
    reader = _SectionReader(kind, raw, variables)
    made: Kind = reader.made({key: value.text for key, value in raw.values.items()})
    raise_all(reader.errors)
    return made


class _Loader:
    """One run of ``Schema.load``: collects sections and errors."""

    def __init__(self, schema: Schema, raw: RawConfig, variables: Mapping[str, str]) -> None:
        self.schema = schema
        self.raw = raw
        self.variables = variables
        self.errors: list[MetworkError] = list(raw.problems)
        self.unused: list[ConfigError] = []

    def load(self) -> Config:
        sections: dict[str, Section] = {}
        origins: dict[tuple[str, str], str] = {}
        present = self._with_environment()
        for section in [*present.values(), *self._absent(present)]:
            kind = self.schema.kind(section.name)
            if kind is None or self._is_invented(section):
                if self.raw.lenient and section.overrides:
                    self.unused.append(
                        ConfigError("there is no such section any more", where=f"{section.origin} [{section.name}]")
                    )
                else:
                    self._unknown(section)
                continue
            if self.raw.lenient:
                self._drop_unknown(section, kind)
            reader = _SectionReader(kind, section, self.variables, self)
            sections[section.name] = reader.read()
            self.errors += reader.errors
            origins.update({(section.name, key): value.origin for key, value in section.values.items()})
        return Config(sections, origins, self.variables, self.raw.source, self.unused if self.raw.lenient else None)

    def _drop_unknown(self, section: RawSection, kind: type[Section]) -> None:
        """Take what only overrides set and *kind* does not declare out of *section*."""
        for key, value in list(section.values.items()):
            if value.overrides and not issubclass(kind, FreeSection) and key not in declared(kind):
                where = f"{value.origin} [{section.name}] {key}"
                self.unused.append(ConfigError("there is no such key any more", where=where))
                del section.values[key]

    def _absent(self, present: Mapping[str, RawSection]) -> Iterator[RawSection]:
        """Sections that no file has and that need nothing; those that must be there are errors."""
        for name, kind in self.schema.sections.items():
            if is_pattern(name) or name in present:
                continue
            if name in self.schema.required:
                self.errors.append(ConfigError(f"the section [{name}] is missing", where=self.raw.source))
            elif not any(option.required for option in declared(kind).values()):
                yield RawSection(name, self.raw.source)

    def _is_invented(self, section: RawSection) -> bool:
        """Whether an override brings a section that only the first layer may bring."""
        return section.overrides and any(fnmatchcase(section.name, pattern) for pattern in self.schema.fixed)

    def _unknown(self, section: RawSection) -> None:
        where = f"{section.origin} [{section.name}]"
        if self.schema.kind(section.name):
            found = f"there is no such section in {self.raw.source}, which this file overrides"
            known = [name for name, one in self.raw.items() if not one.overrides]
        else:
            found = "unknown section"
            known = [*(name for name in self.schema.sections if is_pattern(name)), *self._names()]
        self.errors.append(ConfigError(found, where=where, mend=nearest(section.name.lower(), set(known))))

    def _names(self) -> list[str]:
        """Names of all known sections that are or could be there."""
        present = [name for name in self.raw if self.schema.kind(name)]
        return list(dict.fromkeys([*present, *(name for name in self.schema.sections if not is_pattern(name))]))

    def _with_environment(self) -> dict[str, RawSection]:
        """The sections of the files, with what variables override in them; the files' own stay as they are."""
        sections = {name: replace(one, values=dict(one.values)) for name, one in self.raw.items()}
        if not self.raw.environment:
            return sections
        # the longest name first: STEP_MAIN_CMD is a key of [step_main] rather than of [step]
        starts = sorted(((variable_name(name), name) for name in self._names()), key=lambda pair: -len(pair[0]))
        for rest, (text, variable) in self.raw.environment.items():
            for start, name in starts:
                if rest.startswith(f"{start}_"):
                    origin = f"environment {variable}"
                    key = self._key(name, rest[len(start) + 1 :], sections)
                    section = sections.setdefault(name, RawSection(name, origin))
                    section.values[key] = Value(text, origin, overrides=True)
                    break
        return sections

    def _key(self, section: str, rest: str, sections: Mapping[str, RawSection]) -> str:
        """The key of *section* that a variable ending with *rest* overrides, known or not."""
        kind = self.schema.kind(section)
        known = [*(declared(kind) if kind else ())]
        if section in sections:
            known += sections[section].values
        return next((key for key in known if variable_name(key) == rest), rest.lower())

    def home_of(self, key: str, section: str) -> list[str]:
        """The sections other than *section* that declare *key*: those in the files, else as the schema calls them."""
        kinds = {name: kind for name, kind in self.schema.sections.items() if key in declared(kind)}
        present = [name for name in self.raw if name != section and self.schema.kind(name) in kinds.values()]
        return present or [name for name in kinds if name != section]

    def free_name(self) -> str:
        """The section that takes any key; '' when there is none."""
        exact = [name for name, kind in self.schema.sections.items() if issubclass(kind, FreeSection)]
        return next((name for name in exact if not is_pattern(name)), "")


class _SectionReader:
    """Makes one section from its texts: collects errors instead of raising the first."""

    def __init__(
        self, kind: type[Section], raw: RawSection, variables: Mapping[str, str], loader: _Loader | None = None
    ) -> None:
        self.kind = kind
        self.raw = raw
        self.variables = variables
        self.loader = loader
        self.errors: list[MetworkError] = []
        self.options = declared(kind)

    def read(self) -> Any:
        """The section; of no worth when there are errors, and then perhaps None."""
        texts: dict[str, str] = {}
        for key, value in self.raw.values.items():
            try:
                self._check_override(key, value)
                texts[key] = expanded(value.text, self.variables, self._where(key, value))
            except ConfigError as error:
                self.errors.append(error)
        return self.made(texts)

    def made(self, texts: Mapping[str, str]) -> Any:
        """The section made from *texts*, whose placeholders are expanded."""
        if issubclass(self.kind, FreeSection):
            origins = {key: value.origin for key, value in self.raw.values.items()}
            return self.kind(texts, origins, self.raw.origin)
        values = {**self._defaults(), **self._converted(texts)}
        self._check_missing()
        return None if self.errors else self.kind(**{self.options[key].attribute: one for key, one in values.items()})

    def _defaults(self) -> dict[str, Any]:
        """The defaults that hold a placeholder: they mean what the same text in a file would."""
        values: dict[str, Any] = {}
        for key, option in self.options.items():
            if option.kind in (bool, int, float) or key in self.raw.values:
                continue
            text = option.text(option.default)
            if "{{" in text:
                where = f"{self.raw.origin} [{self.raw.name}] {key} (default)"
                try:
                    values[key] = option.parse(expanded(text, self.variables, where), where)
                except ConfigError as error:
                    self.errors.append(error)
        return values

    def _converted(self, texts: Mapping[str, str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, text in texts.items():
            where = self._where(key, self.raw.values[key])
            try:
                if key not in self.options:
                    raise ConfigError("unknown key", where=where, mend=self._hint(key))
                self._check_swallowed(text, where)
                values[key] = self.options[key].parse(text, where)
            except ConfigError as error:
                self.errors.append(error)
        return values

    def _where(self, key: str, value: Value) -> str:
        return f"{value.origin} [{self.raw.name}] {key}"

    def _check_override(self, key: str, value: Value) -> None:
        option = self.options.get(key)
        if value.overrides and (key.startswith("_") or (option and option.private)):
            found = "this key is private: only the file that comes with the software may set it"
            raise ConfigError(found, where=self._where(key, value), mend="Remove it here.")

    def _check_swallowed(self, text: str, where: str) -> None:
        """A known key in a line that only goes on with the value above was meant to be a key."""
        for line in text.split("\n")[1:]:
            match = re.match(r"(\w+)\s*=(?!=)", line)
            if match and match[1] in self.options:
                found = f"the line {quoted(line)} below it is indented, so it belongs to this value"
                raise ConfigError(found, where=where, mend="Begin the line at its left margin.")

    def _check_missing(self) -> None:
        for key, option in self.options.items():
            if option.required and key not in self.raw.values:
                where = f"{self.raw.origin} [{self.raw.name}] {key}"
                self.errors.append(ConfigError("this key is missing", where=where, expected=option.expected))

    def _hint(self, key: str) -> str:
        """Where an unknown *key* belongs, or which key was meant."""
        homes = self.loader.home_of(key, self.raw.name) if self.loader else []
        if homes:
            return f"It belongs in {' or '.join(f'[{name}]' for name in homes)}."
        hint = nearest(key.lower(), self.options)
        free = self.loader.free_name() if self.loader else ""
        return hint if hint.startswith("Did") or not free else f"{hint} Keys of your own belong in [{free}].".strip()


def _place(where: str) -> tuple[str, int]:
    """The file and the line that *where* begins with: the order in which a reader mends."""
    match = re.match(r"(.*?):(\d+)", where)
    return (match[1], int(match[2])) if match else (where, 0)
