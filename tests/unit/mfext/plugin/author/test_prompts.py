from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from mfext.errors import MetworkError, UsageError
from mfext.option import option
from mfext.plugin.author.prompts import questions, settings
from mfext.plugin.author.template import Header, Template
from mfext.plugin.general import General
from mfext.section import FreeSection, Section
from tests.unit.mfext.plugin.plugins import Job


@dataclass(frozen=True)
class Custom(Section):
    """Where to."""

    folder: str = option("out", help="A folder.")
    count: int = option(2, minimum=1, help="Not the count of the job.")


SECTIONS: Mapping[str, type[Section]] = {"general": General, "job_main": Job, "custom": Custom}


def test_a_person_is_asked_for_what_the_template_says_and_for_nothing_of_the_package() -> None:
    asked = questions(Template("ready", Header(title="Ready", ask=("job_main.cmd", "custom.folder")), {}, {}))
    assert asked == [("job_main", "cmd"), ("custom", "folder")]


def test_a_key_that_is_like_none_gets_a_short_answer() -> None:
    many = {f"key_{number}": option("", help="One.") for number in range(100)}
    kind: type[Section] = dataclass(frozen=True)(
        type("Many", (Section,), {"__annotations__": dict.fromkeys(many, "str"), **many})
    )
    with pytest.raises(UsageError) as refused:
        settings(["zzz=1"], {"general": General, "many": kind})
    assert len(refused.value.message) < 200
    assert "Most like it, of 1" in refused.value.message
    with pytest.raises(UsageError) as refused:
        settings(["sumary=1"], {"general": General, "many": kind})
    assert refused.value.message == 'there is no key "sumary". Did you mean "summary"?'


@pytest.mark.parametrize(
    ("text", "pair", "value"),
    [
        ("version=1.0", ("general", "version"), "1.0"),
        ("general.version = 1.0", ("general", "version"), "1.0"),
        ("cmd=a b=c", ("job_main", "cmd"), "a b=c"),
        ("custom.count=4", ("custom", "count"), "4"),
        ("folder=", ("custom", "folder"), ""),
        ("job_main.count={{CORES}}", ("job_main", "count"), "{{CORES}}"),
    ],
)
def test_a_setting_names_its_key_with_or_without_section(text: str, pair: tuple[str, str], value: str) -> None:
    assert settings([text], SECTIONS) == {pair: value}


def test_a_free_section_takes_any_key() -> None:
    assert settings(["custom.mine=1"], {**SECTIONS, "custom": FreeSection}) == {("custom", "mine"): "1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("count", "expected KEY=VALUE"),
        ("=1", "expected KEY=VALUE"),
        ("count=1", 'several sections have a key "count"; expected job_main.count or custom.count'),
        ("foldr=1", 'no key "foldr". Did you mean "folder"'),
        ("custom.foldr=1", 'no key "custom.foldr". Did you mean "custom.folder"'),
        ("custm.folder=1", 'no key "custm.folder". Did you mean "custom.folder"'),
        ("job_main.count=-1", "job_main.count: -1 is too small"),
    ],
)
def test_a_setting_that_is_not_understood_is_an_error(text: str, said: str) -> None:
    with pytest.raises(MetworkError, match=said):
        settings([text], SECTIONS)
