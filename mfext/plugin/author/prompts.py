"""What a person says of a plugin to be made: set on the command line, or asked for on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from mfext.errors import MetworkError, UsageError, nearest
from mfext.plugin.author.secrets_policy import Values
from mfext.plugin.author.template import Template, check_name
from mfext.section import FreeSection, Section, declared

#: A key of a config.ini: its section and its name.
Key = tuple[str, str]


def settings(texts: Iterable[str], sections: Mapping[str, type[Section]]) -> dict[Key, str]:
    """The values that *texts* set, each ``KEY=VALUE`` or ``SECTION.KEY=VALUE``.

    Raises:
        UsageError: one has another form, or names a key that is not there or is in several sections.
        ConfigError: the key cannot have that value.
    """
    values: dict[Key, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f'--set "{text}" is not understood', expected="KEY=VALUE or SECTION.KEY=VALUE")
        section, key = key_named(name.strip(), sections)
        check_value(section, key, value.strip(), sections)
        values[section, key] = value.strip()
    return values


def key_named(name: str, sections: Mapping[str, type[Section]]) -> Key:
    """Section and key that *name* means: ``SECTION.KEY``, or a key that one section alone has."""
    section, dot, key = name.partition(".")
    known = {f"{one}.{key}": (one, key) for one, kind in sections.items() for key in declared(kind)}
    if dot and section in sections:
        if f"{section}.{key}" in known or issubclass(sections[section], FreeSection):
            return section, key
        raise UsageError(f'there is no key "{name}"', mend=nearest(name, known))
    homes = [pair for pair in known.values() if pair[1] == name]
    if len(homes) > 1:
        raise UsageError(
            f'several sections have a key "{name}"', expected=" or ".join(".".join(pair) for pair in homes)
        )
    if not homes:
        # The bare names: a list of them with their sections would say each twice.
        mend = nearest(name, known if dot else {key for _, key in known.values()})
        raise UsageError(f'there is no key "{name}"', mend=mend)
    return homes[0]


def check_value(section: str, key: str, value: str, sections: Mapping[str, type[Section]]) -> None:
    """Raise a ConfigError when *value* is not right; one with a placeholder is known only when it is in force."""
    known = declared(sections[section])
    if key in known and "{{" not in value:
        known[key].parse(value, f"{section}.{key}")


def questions(template: Template) -> list[Key]:
    """All that a person is asked for, in order: what the template says. The rest has defaults, told in config.ini."""
    return [(section, key) for section, _, key in (name.partition(".") for name in template.header.ask)]


def asked(keys: Iterable[Key], sections: Mapping[str, type[Section]], values: Values) -> dict[Key, str]:
    """What a person answers when asked for *keys*, where it differs from what holds without an answer."""
    answers = {}
    for section, key in keys:
        option = declared(sections[section])[key]
        default = values.get((section, key), option.text(option.default))
        check = partial(check_value, section, key, sections=sections)
        example = f"\nFor example: {option.example}" if option.example else ""
        answer = _ask(f"\n{option.help}{example}\n{key}", default, check, hidden=option.secret)
        if answer != default:
            answers[section, key] = answer
    return answers


def asked_name() -> str:
    """The name that a person gives the plugin."""
    return _ask("Name of the plugin", "", check_name)


def _ask(question: str, default: str, check: Callable[[str], None], *, hidden: bool = False) -> str:
    """The answer to *question*, asked again until *check* raises nothing."""
    import click

    def checked(answer: str) -> str:
        try:
            check(answer.strip())
        except MetworkError as error:
            raise click.UsageError(error.message) from error
        return answer.strip()

    shows = bool(default) and not hidden
    answer: str = click.prompt(question, default=default, show_default=shows, value_proc=checked, hide_input=hidden)
    return answer
