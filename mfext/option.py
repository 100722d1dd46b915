"""Option: one configuration key, declared once: type, default, unit, bounds, help (pure)."""

from __future__ import annotations

import dataclasses
import functools
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mfext.errors import ConfigError, PluginError, nearest

__all__ = ["REQUIRED", "option"]


class Required:
    """The type of ``REQUIRED``."""

    def __repr__(self) -> str:
        return "REQUIRED"


#: The default of a key that must be given, and not be empty.
REQUIRED = Required()

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")

#: The types a key may have, by the text of the annotation.
KINDS: Mapping[str, type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "Path": Path,
    "pathlib.Path": Path,
    "tuple[str, ...]": tuple,
}


#: Units that are declared short and read long.
UNITS: Mapping[str, str] = {"s": "seconds", "ms": "milliseconds"}


@dataclass(frozen=True)
class Option:
    """A key as it was declared."""

    name: str = ""
    #: One of ``str int float bool Path tuple``; a tuple is of texts.
    kind: type = str
    default: Any = REQUIRED
    help: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    #: Regular expression that the whole text matches.
    pattern: str = ""
    #: What that is, for a person.
    form: str = ""
    #: What stands between the items of a tuple; a new line does so, too.
    separator: str = ":"
    #: Never shown.
    secret: bool = False
    #: Rarely needed: comes last in generated files.
    advanced: bool = False
    #: May not be overridden by an administrator.
    private: bool = False
    example: str = ""

    @property
    def attribute(self) -> str:
        """The field that holds the value: a key that is a word of Python itself, such as ``async``, is ``async_``."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name

    @property
    def required(self) -> bool:
        """Whether the key must be given."""
        return self.default is REQUIRED

    @property
    def expected(self) -> str:
        """What a value must be, for a person: type, unit, bounds, choices."""
        text = self._expected_kind()
        if self.minimum is not None and self.maximum is not None:
            text += f" from {number_text(self.minimum)} to {number_text(self.maximum)}"
        elif self.minimum is not None:
            text += f", at least {number_text(self.minimum)}"
        elif self.maximum is not None:
            text += f", at most {number_text(self.maximum)}"
        return f"{text}, such as {quoted(self.example)}" if self.example else text

    def _expected_kind(self) -> str:
        if self.kind is bool:
            return "1 or 0"
        if self.kind in (int, float):
            number = "a whole number" if self.kind is int else "a number"
            return f"{number} of {UNITS.get(self.unit, self.unit)}" if self.unit else number
        what = f"one of {', '.join(self.choices)}" if self.choices else "a path" if self.kind is Path else "text"
        if self.pattern:
            what = self.form or f"text that matches {self.pattern}"
        if self.kind is tuple:
            return f'a list separated by "{self.separator}"' + (f", each {what}" if what != "text" else "")
        return what

    def parse(self, text: str, where: str) -> Any:
        """The value that *text* stands for.

        Raises:
            ConfigError: it stands for none; *where* tells the reader which key of which file.
        """
        found = self._empty(text)
        value = None if found else self._convert(text)
        if not found and value is None:
            found = f"{quoted(text)} is not {'a number' if self.kind is float else KIND_NAMES[self.kind]}"
        found = found or self._out_of_bounds(value) or self._not_among(value)
        if found:
            raise ConfigError(
                "the value (not shown) is not right" if self.secret and text else found,
                where=where,
                expected=self.expected,
                mend="" if self.secret else self._mend(text, value),
            )
        return value

    def _empty(self, text: str) -> str:
        # an empty path would silently be the current folder
        wants_text = self.required or self.kind in (int, float, bool) or (self.kind is Path and self.default != Path())
        return "the value is empty" if wants_text and not text.strip() else ""

    def _convert(self, text: str) -> Any:
        """The value, or None when *text* has not the right form."""
        if self.kind is tuple:
            items = text.replace("\n", self.separator).split(self.separator)
            return tuple(item.strip() for item in items if item.strip())
        if self.kind is bool:
            word = text.lower()
            return True if word in TRUE else False if word in FALSE else None
        if self.kind is int:
            return int(text) if re.fullmatch(r"[+-]?[0-9]{1,40}", text) else None
        if self.kind is float:
            return finite(text)
        return Path(text) if self.kind is Path else text

    def _out_of_bounds(self, value: Any) -> str:
        if self.kind not in (int, float):
            return ""
        if self.minimum is not None and value < self.minimum:
            return f"{number_text(value)} is too small"
        if self.maximum is not None and value > self.maximum:
            return f"{number_text(value)} is too large"
        return ""

    def _not_among(self, value: Any) -> str:
        for item in self._items(value):
            if self.choices and item not in self.choices:
                return f"{quoted(item)} is not known"
            if self.pattern and not re.fullmatch(self.pattern, item):
                return f"{quoted(item)} has not the right form"
        return "the list is empty" if self.required and value == () else ""

    def _mend(self, text: str, value: Any) -> str:
        if re.search(r"\s[#;]", text) and (self.kind in (int, float, bool) or self.choices):
            return "A comment needs a line of its own."
        wrong = next((item for item in self._items(value) if item not in self.choices), "")
        hint = nearest(wrong.lower(), self.choices)
        return hint if hint.startswith("Did") else ""

    @staticmethod
    def _items(value: Any) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else (str(value),)

    def text(self, value: Any) -> str:
        """*value* as it is written in a file: what ``parse`` reads back."""
        if value is REQUIRED:
            return ""
        if isinstance(value, bool):
            return "1" if value else "0"
        if isinstance(value, tuple):
            between = self.separator if self.separator == ":" else f"{self.separator} "
            return between.join(value)
        if isinstance(value, (int, float)):
            return number_text(value)
        return "" if value == Path() else str(value)


KIND_NAMES: Mapping[type, str] = {bool: "1 or 0", int: "a whole number", float: "a number"}


def option(
    default: Any = REQUIRED,
    *,
    help: str,  # noqa: A002 - the word that every reader expects
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    form: str = "",
    separator: str = ":",
    secret: bool = False,
    advanced: bool = False,
    private: bool = False,
    example: str = "",
) -> Any:
    """A field of a ``Section``: a configuration key that is called like the field.

    The field's type is one of ``str``, ``int``, ``float``, ``bool``, ``Path`` and ``tuple[str, ...]``.
    Without *default* the key must be given, and not be empty. A key that is a word of Python itself, such as ``async``,
    is the field ``async_``.

    Args:
        default: the value when no file gives one, of the field's type.
        help: what the key is for, in one sentence, for ``config.ini`` and the reference.
        unit: what numbers count: ``s``, ``ms``, ``bytes``, any word; '' = none.
        minimum: the least number; None = any.
        maximum: the greatest number; None = any.
        choices: the texts that are allowed, each item of a tuple for itself; () = any.
        pattern: regular expression that the whole text matches, each item of a tuple for itself; '' = any.
        form: what *pattern* means, in words, for messages.
        separator: what stands between the items of a tuple; a new line does so, too.
        secret: the value is never shown.
        advanced: rarely needed: it comes last in generated files.
        private: an administrator may not override it.
        example: a value as it is written in the file, for messages.
    """
    declared = Option(
        default=default,
        help=help,
        unit=unit,
        minimum=minimum,
        maximum=maximum,
        choices=choices,
        pattern=pattern,
        form=form,
        separator=separator,
        secret=secret,
        advanced=advanced,
        private=private,
        example=example,
    )
    # keyword only, so that a key that must be given may stand after one that need not
    missing = dataclasses.MISSING if default is REQUIRED else default
    return dataclasses.field(default=missing, repr=not secret, metadata={"option": declared}, kw_only=True)


def options_of(section: type) -> Mapping[str, Option]:
    """The options that the dataclass *section* declares, by name, in order.

    Raises:
        PluginError: a field has a type that no key can have.
    """
    return _options_of(section)


@functools.cache  # commands read the configuration of all plugins; typed so for mypy, to which no class is hashable
def _options_of(section: Any) -> Mapping[str, Option]:
    if not dataclasses.is_dataclass(section):
        return MappingProxyType({})
    options = (_option_of(section, field) for field in dataclasses.fields(section))
    return MappingProxyType({option.name: option for option in options})


def _option_of(section: Any, field: dataclasses.Field[Any]) -> Option:
    annotation: Any = field.type
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if not isinstance(annotation, (str, type)):
        name = str(annotation)
    if name not in KINDS:
        raise PluginError(
            f"a key cannot have the type {name}",
            where=f"{section.__module__}.{section.__qualname__}.{field.name}",
            expected=f"one of {', '.join(KINDS)}",
        )
    default = REQUIRED if field.default is dataclasses.MISSING else field.default
    declared = field.metadata.get("option") or Option(default=default)
    private = declared.private or field.name.startswith("_")
    bare = field.name.removesuffix("_")
    own = bare if keyword.iskeyword(bare) else field.name
    return dataclasses.replace(declared, name=own, kind=KINDS[name], private=private)


def finite(text: str) -> float | None:
    """The number that *text* stands for, or None; 'nan' and 'inf' are none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and "_" not in text else None


def number_text(number: float) -> str:
    """*number* without a needless '.0'."""
    text = repr(number)
    return text[:-2] if text.endswith(".0") else text


def quoted(text: str, length: int = 100) -> str:
    """*text* in double quotes on one line, cut after *length* characters: safe in a message."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:length])
    return f'"{shown}…"' if len(text) > length else f'"{shown}"'
