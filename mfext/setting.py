"""Sets one key in the text of a config.ini and leaves the rest as it is (pure)."""

from __future__ import annotations

import re

from mfext.configfile import RULES_PREFIX, RawConfig, parsed
from mfext.errors import ConfigError, nearest, raise_all
from mfext.reference import key_lines
from mfext.section import FreeSection, Schema, declared

#: Sections that take any key, where no schema says so.
FREE = "custom"
#: The name that errors give the text.
SOURCE = "config.ini"


def set_key(text: str, section: str, key: str, value: str, schema: Schema | None = None) -> str:
    """*text* with *key* set: in its line, commented out or not, else in a new line of its section.

    Args:
        text: a whole config.ini.
        section: exact name of the section.
        key: without *schema* it must stand in the section, at least commented out, or the section be a free one.
        value: what it is set to.
        schema: what may be in the file; the value is checked, too.

    Raises:
        ConfigError: there is no such section or key, the value is not right, or the text is broken.
    """
    before = parsed(text, SOURCE)
    raise_all(list(before.problems))
    _check(before, text, section, key, value, schema)
    lines = text.split("\n")
    if section not in before:
        lines = [*_without_blank_end(lines), "", f"[{section}]", ""]
        before = parsed("\n".join(lines), SOURCE)
    start, end = _span(lines, before, section, key)
    end_of_line = "\r" if "\r\n" in text else ""
    written = [f"{_margin(lines, before, section)}{line}{end_of_line}" for line in key_lines(section, key, value)]
    after = "\n".join([*lines[:start], *written, *lines[end:]])
    _check_only_change(before, parsed(after, SOURCE), section, key)
    return after


def _check(config: RawConfig, text: str, section: str, key: str, value: str, schema: Schema | None) -> None:
    where = f"{SOURCE} [{section}]"
    kind = schema.kind(section) if schema else None
    free = issubclass(kind, FreeSection) if kind else section == FREE or section.startswith(RULES_PREFIX)
    if (schema and kind is None) or (not schema and not free and section not in config):
        raise ConfigError("unknown section", where=where, mend=nearest(section, schema.sections if schema else config))
    options = declared(kind) if kind else {}
    known = list(options) or _standing(config, text.split("\n"), section)
    if not free and key not in known:
        raise ConfigError("unknown key", where=f"{where} {key}", mend=nearest(key.lower(), known))
    if key in options and "{{" not in value:
        options[key].parse(value, f"{where} {key}")


def _standing(config: RawConfig, lines: list[str], section: str) -> list[str]:
    """The keys that stand in *section*, commented out or not."""
    first, last = _extent(config, len(lines), section)
    matches = [re.match(r"# ?(\w+) *=", line) for line in lines[first:last]]
    return [*config[section].values, *(match[1] for match in matches if match)] if section in config else []


def _without_blank_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _line(origin: str) -> int:
    """Index of the line that *origin* names."""
    return int(origin.rpartition(":")[2]) - 1


def _extent(config: RawConfig, count: int, section: str) -> tuple[int, int]:
    """The lines below the header of *section*, up to the next header."""
    if section not in config:
        return count, count
    header = _line(config[section].origin)
    return header + 1, min((_line(one.origin) for one in config.values() if _line(one.origin) > header), default=count)


def _span(lines: list[str], config: RawConfig, section: str, key: str) -> tuple[int, int]:
    """The lines to replace: those of *key*, or that where it is commented out, or none where it is to be added."""
    first, last = _extent(config, len(lines), section)
    values = config[section].values
    if key in values:
        return _value_span(lines, _line(values[key].origin))
    commented = re.compile(rf"# ?{re.escape(key)} *=")
    for number in range(first, last):
        if commented.match(lines[number]):
            return number, _commented_end(lines, number + 1)
    ends = [_value_span(lines, _line(value.origin))[1] for value in values.values()]
    ends += [number + 1 for number in range(first, last) if re.match(r"# ?\w+ *=", lines[number])]
    return (max(ends), max(ends)) if ends else (first, first)


def _value_span(lines: list[str], start: int) -> tuple[int, int]:
    """The line of a key and those in which its value goes on."""
    indent = _indent(lines[start])
    end = start + 1
    for number in range(start + 1, len(lines)):
        text = lines[number].strip()
        if not text or text.startswith("#"):
            continue
        if _indent(lines[number]) <= indent:
            break
        end = number + 1
    return start, end


def _commented_end(lines: list[str], end: int) -> int:
    """Where a value that is commented out ends: its further lines are indented by four, as they are written."""
    while end < len(lines) and lines[end].startswith("#     "):
        end += 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _margin(lines: list[str], config: RawConfig, section: str) -> str:
    """The blanks that stand before the keys of *section*."""
    for value in config[section].values.values():
        line = lines[_line(value.origin)]
        return line[: _indent(line)]
    return ""


def _check_only_change(before: RawConfig, after: RawConfig, section: str, key: str) -> None:
    """Raise a ConfigError where the layout of the text is such that the new line changes another key."""

    def others(config: RawConfig) -> dict[tuple[str, str], str]:
        texts = {(name, one): value.text for name, raw in config.items() for one, value in raw.values.items()}
        return {pair: text for pair, text in texts.items() if pair != (section, key)}

    if after.problems or others(before) != others(after) or key not in after[section].values:
        mend = "Set it by hand; begin every key at the left margin."
        raise ConfigError("the key cannot be set in this text", where=f"{SOURCE} [{section}] {key}", mend=mend)
