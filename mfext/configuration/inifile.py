"""Reads INI files: with line numbers, in layers, with ``{{VARIABLE}}`` placeholders. The only reader of INI.

``[section]`` and ``key = value`` lines; a value goes on in lines indented deeper than its key. A line that starts with
``#`` is a comment, wherever it stands; nothing else is: a value holds ``#``, ``;``, ``%`` and ``=`` as it likes.
In rule sections, whose keys are patterns that may hold ``=``, the last ``=`` of a line ends the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mfext.errors import ConfigError, raise_all
from mfext.option import quoted

#: Sections whose keys are patterns.
RULES_PREFIX = "switch_rules:"

_HEADER = re.compile(r"\[\s*([^\[\]=]*[^\[\]=\s])\s*\]")
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(\|[^{}]*)?\}\}")

#: Stands for a default that is worked out later, so that it is no variable.
AUTO = "AUTO"


@dataclass(frozen=True)
class Value:
    """The text of a key and where it comes from."""

    text: str
    #: ``path:line``, or ``environment NAME``.
    origin: str
    #: It comes from a layer above the first one.
    overrides: bool = False


@dataclass(frozen=True)
class RawSection:
    """A section as it was read: texts, no types."""

    name: str
    #: ``path:line`` of its header.
    origin: str
    values: dict[str, Value] = field(default_factory=dict)
    #: It stands only in layers above the first one.
    overrides: bool = False


class RawConfig(dict[str, RawSection]):
    """Sections by name, as they were read, with what the reader could not make sense of."""

    def __init__(self, source: str = "") -> None:
        super().__init__()
        #: The first file that was read, for errors about what is missing.
        self.source = source
        #: What is wrong with the files; ``Schema.load`` raises it together with what it finds.
        self.problems: list[ConfigError] = []
        #: Variables that override keys: what follows the prefix -> (text, name of the variable).
        self.environment: dict[str, tuple[str, str]] = {}
        #: Overrides of keys that are not there are left out instead of being errors.
        self.lenient = False


def read(path: Path) -> RawConfig:
    """What the file *path* says.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, or has lines that mean nothing (``Several`` for more than one).
    """
    config = _read(path, optional=False)
    raise_all(list(config.problems))
    return config


def layered(
    paths: Sequence[Path],
    environment: Mapping[str, str] | None = None,
    environment_prefix: str = "",
    *,
    must_exist: bool = False,
) -> RawConfig:
    """What all files say together; of two that give a key, the last wins, and the environment wins over all.

    What is wrong with the files is kept in ``problems``, so that ``Schema.load`` reports everything at once.

    Args:
        paths: files; those that do not exist are left out.
        environment: variables; ``PREFIX_SECTION_KEY`` in capitals overrides a key.
        environment_prefix: such as ``MFDATA``; '' = no variable overrides anything.
        must_exist: the first file must be there.
    """
    config = RawConfig(str(paths[0]) if paths else "")
    for path in paths[:1]:
        _merge(config, _read(path, optional=not must_exist), overrides=False)
    override(config, paths[1:], environment or {}, environment_prefix)
    return config


def override(config: RawConfig, paths: Sequence[Path], environment: Mapping[str, str], environment_prefix: str) -> None:
    """Put what *paths* and the variables of *environment* say over what *config* says, as ``layered`` does."""
    for path in paths:
        _merge(config, _read(path, optional=True), overrides=True)
    if environment_prefix:
        start = f"{environment_prefix}_"
        names = [name for name in environment if name.startswith(start)]
        config.environment = {name[len(start) :]: (environment[name], name) for name in sorted(names)}


def expanded(text: str, variables: Mapping[str, str], where: str) -> str:
    """*text* with each ``{{NAME}}`` replaced by that variable; ``{{AUTO}}`` stays.

    Raises:
        ConfigError: there is no such variable.
    """
    if "{{" not in text:
        return text

    def value_of(match: re.Match[str]) -> str:
        name, filters = match.groups()
        if filters:
            raise ConfigError(f"{quoted(match[0])} is not understood", where=where, expected="{{NAME}} alone")
        if name == AUTO:
            return match[0]
        if name not in variables:
            mend = f"Set {name} in the environment of the module, or write the value itself."
            raise ConfigError(f'there is no variable "{name}"', where=where, mend=mend)
        return variables[name]

    return _PLACEHOLDER.sub(value_of, text)


def parsed(text: str, source: str) -> RawConfig:
    """What *text*, which comes from the file *source*, says; its faults are in ``problems``."""
    reader = _Reader(source)
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        reader.take(number, line)
    return reader.finish()


def split_key(section: str, line: str) -> tuple[str, str] | None:
    """Key and value of a line of *section*; None when it has none."""
    key, equals, value = line.rpartition("=") if section.startswith(RULES_PREFIX) else line.partition("=")
    return (key.strip(), value.strip()) if equals and key.strip() else None


def header_name(line: str) -> str:
    """Name of the section that *line* (without blanks around) opens; '' when it opens none."""
    match = _HEADER.fullmatch(line)
    return match[1] if match else ""


class _Reader:
    """Takes the lines of one file, one by one."""

    def __init__(self, source: str) -> None:
        self.config = RawConfig(source)
        self.section = RawSection("", "")
        self.lines: list[str] | None = None  # of the value that may go on in the next line
        self.indent = 0  # of its key
        self.found: dict[tuple[str, str], tuple[str, list[str]]] = {}  # (section, key) -> (origin, lines)

    def take(self, number: int, line: str) -> None:
        text = line.strip()
        origin = f"{self.config.source}:{number}"
        indent = len(line) - len(line.lstrip())
        if "\0" in text:
            self._problem(origin, "there is a NUL character in this line")
        elif text.startswith("#"):
            return
        elif not text:
            if self.lines is not None:
                self.lines.append("")
        elif self.lines is not None and indent > self.indent:
            self.lines.append(text)
        elif name := header_name(text):
            self._open(name, origin)
        elif text.startswith("[") and not (self._in_rules() and "=" in text):
            self._problem(origin, f"{quoted(text)} is not a section header", "[NAME] alone on its line")
            self._open(text.strip("[").partition("]")[0].strip(), origin)
        else:
            self.lines, self.indent = [], indent
            self._key(text, origin)

    def finish(self) -> RawConfig:
        for (section, key), (origin, lines) in self.found.items():
            self.config[section].values[key] = Value("\n".join(lines).strip(), origin)
        return self.config

    def _in_rules(self) -> bool:
        return self.section.name.startswith(RULES_PREFIX)

    def _problem(self, where: str, found: str, expected: str = "", mend: str = "") -> None:
        self.config.problems.append(ConfigError(found, where=where, expected=expected, mend=mend))

    def _open(self, name: str, origin: str) -> None:
        self.lines = None
        known = self.config.get(name)
        if known:
            self._problem(f"{origin} [{name}]", f"this section stands at {known.origin} already", mend="Join the two.")
        self.section = known or RawSection(name, origin)
        if name:
            self.config.setdefault(name, self.section)

    def _key(self, text: str, origin: str) -> None:
        pair = split_key(self.section.name, text)
        if text.startswith(";") and not self._in_rules():
            self._problem(origin, f"{quoted(text)} is not understood", mend='A comment starts with "#".')
        elif pair is None:
            self._problem(origin, f"{quoted(text)} is not understood", 'a line "key = value"')
        elif not self.section.origin:
            self._problem(origin, f"{quoted(pair[0])} stands before the first [section]", mend="Put it below one.")
        elif self.section.name:  # else its header is broken, which has been told
            self._keep(pair[0], pair[1], origin)

    def _keep(self, key: str, text: str, origin: str) -> None:
        first = self.found.get((self.section.name, key))
        self.lines = [text]
        if first:
            where = f"{origin} [{self.section.name}] {key}"
            self._problem(where, f"this key stands at {first[0]} already", mend="Remove one of the two.")
        else:
            self.found[self.section.name, key] = (origin, self.lines)


def _read(path: Path, optional: bool) -> RawConfig:
    config = RawConfig(str(path))
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        if optional and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return config
        config.problems.append(ConfigError(f"cannot be read: {error.strerror}", where=str(path)))
        return config
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        config.problems.append(ConfigError(found, where=f"{path}:{line}", expected="a file in UTF-8"))
        return config
    return parsed(text, str(path))


def _merge(config: RawConfig, layer: RawConfig, overrides: bool) -> None:
    config.problems += layer.problems
    for name, section in layer.items():
        target = config.setdefault(name, RawSection(name, section.origin, {}, overrides))
        for key, value in section.values.items():
            target.values[key] = Value(value.text, value.origin, overrides)
