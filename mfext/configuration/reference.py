"""What is written from the declarations of options: commented config.ini, Markdown, JSON schema (pure)."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mfext.configuration.inifile import parsed
from mfext.errors import ConfigError, InternalError, MetworkError, nearest, raise_all
from mfext.option import Option, quoted
from mfext.section import FreeSection, Schema, Section, declared, is_pattern

#: Longest comment line.
WIDTH = 78
#: Stands for a blank where a line may not be broken.
GLUE = "\0"


def commented_ini(
    schema_sections: Mapping[str, type[Section]],
    set_values: Mapping[tuple[str, str], str] | None = None,
    hidden_note: str = "",
) -> str:
    """Text of a config.ini with every key of *schema_sections*, below its help.

    A key that is set or must be given is a line ``key = value``, any other a line ``# key = default``; no other line
    of its section looks like that.

    Args:
        schema_sections: what each section declares, by exact name.
        set_values: values by (section, key).
        hidden_note: what is said of each key that is secret.

    Raises:
        ConfigError: a value is set that nobody declared, or that no file can hold; or Several of them.
    """
    values = set_values or {}
    raise_all(_set_errors(schema_sections, values))
    return (
        "\n\n\n".join(_section_text(name, kind, values, hidden_note) for name, kind in schema_sections.items()) + "\n"
    )


def key_text(section: str, option: Option, hidden_note: str = "") -> str:
    """The lines of one key, with its help, as ``commented_ini`` writes them for a key that is not set."""
    return "\n".join(_option_lines(section, option, {}, hidden_note))


def key_lines(section: str, key: str, value: str) -> list[str]:
    """The lines that set *key* to *value* in a file.

    Raises:
        ConfigError: no line can, because reading it would give something else.
    """
    first, *more = [line.strip() for line in value.strip().split("\n")]
    lines = [f"{key} = {first}".rstrip(), *(f"    {line}".rstrip() for line in more)]
    back = parsed("\n".join([f"[{section}]", *lines]), "")
    texts = {one: value.text for raw in back.values() for one, value in raw.values.items()}
    if back.problems or texts != {key: "\n".join([first, *more])} or "\n" in key or not _is_utf8(key + value):
        raise ConfigError(f"{quoted(value)} cannot be written in a file", where=f"[{section}] {quoted(key)[1:-1]}")
    return lines


def markdown(sections: Mapping[str, type[Section]], title: str = "", depth: int = 2) -> str:
    """The reference page of *sections*: a heading of that *depth* and a table for each."""
    parts = [f"{'#' * (depth - 1)} {title}"] if title else []
    for name, kind in sections.items():
        parts.append(f"{'#' * depth} `[{name}]`")
        parts += [help_of(kind)] if help_of(kind) else []
        parts += [_table(declared(kind))] if declared(kind) else []
    return "\n\n".join(parts) + "\n"


def json_schema(schema: Schema, title: str = "") -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a configuration with typed values, such as an editor understands."""
    exact = {name: kind for name, kind in schema.sections.items() if not is_pattern(name)}
    patterns = {name: kind for name, kind in schema.sections.items() if is_pattern(name)}
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {name: _section_schema(kind) for name, kind in exact.items()},
        "patternProperties": {_regex(name): _section_schema(kind) for name, kind in patterns.items()},
        "additionalProperties": False,
        "required": list(schema.required),
    }
    return {"title": title, **document} if title else document


def help_of(kind: type[Section]) -> str:
    """The help of a section; '' when its class has no docstring of its own."""
    text = kind.__dict__.get("__doc__") or ""
    # dataclass() writes the signature where there is no docstring
    return "" if text.startswith(f"{kind.__name__}(") else inspect.cleandoc(text)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _set_errors(sections: Mapping[str, type[Section]], values: Mapping[tuple[str, str], str]) -> list[MetworkError]:
    errors: list[MetworkError] = []
    for name in sections:
        if is_pattern(name):
            raise InternalError(f"[{name}] is not the exact name of a section")
    for section, key in values:
        kind = sections.get(section)
        if kind is None:
            errors.append(ConfigError("unknown section", where=f"[{section}]", mend=nearest(section, sections)))
        elif not issubclass(kind, FreeSection) and key not in declared(kind):
            where = f"[{section}] {key}"
            errors.append(ConfigError("unknown key", where=where, mend=nearest(key, declared(kind))))
    return errors


def _section_text(name: str, kind: type[Section], values: Mapping[tuple[str, str], str], hidden_note: str) -> str:
    head = [f"[{name}]", *comment(help_of(kind))]
    options = sorted(declared(kind).values(), key=lambda one: one.advanced)
    blocks = ["\n".join(head), *("\n".join(_option_lines(name, one, values, hidden_note)) for one in options)]
    others = [key for section, key in values if section == name and key not in declared(kind)]
    lines = [line for key in others for line in key_lines(name, key, values[name, key])]
    return "\n\n".join([*blocks, "\n".join(lines)] if lines else blocks)


def _option_lines(
    section: str, option: Option, values: Mapping[tuple[str, str], str], hidden_note: str
) -> Iterator[str]:
    yield from comment(option.help)
    yield from comment(hidden_note if option.secret else "")
    yield from comment(_limits(option))
    value = values.get((section, option.name))
    if value is None:
        value = option.text(option.default)
        commented = not option.required
    else:
        commented = False
    for line in key_lines(section, option.name, value):
        yield f"# {line}" if commented else line


def _limits(option: Option) -> str:
    """What a value must be, as a sentence; '' when any text will do."""
    expected = "" if option.expected == "text" else f"{option.expected[0].upper()}{option.expected[1:]}."
    return f"{expected} It must be given.".strip() if option.required else expected


def comment(text: str) -> list[str]:
    """*text* as comment lines, none of which looks like a key that is commented out."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()) if text.strip() else ():
        words = " ".join(paragraph.split())
        # a word before "=" may not begin a line
        glued = re.sub(rf" (?=[\w.-]+[ {GLUE}]?=)", GLUE, re.sub(r"(?<=[\w.-]) (?==)", GLUE, words))
        if re.match(rf"[\w.-]+{GLUE}?=", glued):
            glued = f"- {glued}"
        lines += textwrap.wrap(glued, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [f"# {line.replace(GLUE, ' ')}" for line in lines]


def _table(options: Mapping[str, Option]) -> str:
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for option in options.values():
        default = "must be given" if option.required else _code(option.text(option.default))
        notes = [option.help, "Private: administrators cannot override it." if option.private else ""]
        meaning = _cell(" ".join(note for note in notes if note))
        rows.append(f"| `{option.name}` | {_cell(option.expected)} | {default} | {meaning} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    escaped = re.sub(r"([\\|*_<`])", r"\\\1", text)
    return " ".join(escaped.split())


def _code(text: str) -> str:
    if not text:
        return "empty"
    fence = "``" if "`" in text else "`"
    return fence + " ".join(text.split()).replace("|", "\\|") + fence


def _section_schema(kind: type[Section]) -> dict[str, Any]:
    options = declared(kind)
    free = issubclass(kind, FreeSection)
    return {
        "type": "object",
        "description": help_of(kind),
        "properties": {name: _option_schema(option) for name, option in options.items()},
        "additionalProperties": {"type": "string"} if free else False,
        "required": [name for name, option in options.items() if option.required],
    }


def _option_schema(option: Option) -> dict[str, Any]:
    types = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "string", tuple: "array"}
    facts: dict[str, Any] = {"type": types[option.kind], "description": option.help}
    item: dict[str, Any] = {}
    if option.choices:
        item["enum"] = list(option.choices)
    if option.pattern:
        item["pattern"] = f"^({option.pattern})$"
    if option.kind is tuple:
        facts["items"] = {"type": "string", **item}
    else:
        facts |= item
    if not option.required:
        default = option.default
        facts["default"] = list(default) if option.kind is tuple else str(default) if option.kind is Path else default
    limits = {"minimum": option.minimum, "maximum": option.maximum}
    facts |= {name: limit for name, limit in limits.items() if limit is not None}
    if option.example:
        facts["examples"] = [option.example]
    return {**facts, "writeOnly": True} if option.secret else facts


def _regex(pattern: str) -> str:
    """The regular expression of a section pattern; a ``*`` stands for something."""
    return "^" + ".+".join(re.escape(part) for part in pattern.split("*")) + "$"
