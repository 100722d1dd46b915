from __future__ import annotations

import pytest

from mfext.plugin.general import name_fault


@pytest.mark.parametrize("name", ["a", "archive_image", "Convert-PNG", "0", "my__plugin", "configs", "a" * 100])
def test_letters_digits_dash_and_underscore_make_a_name(name: str) -> None:
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    "name", ["", "a b", "é", "a.b", "a/b", "..", "a\n", "plugin_a", "__a", "base", "config", "-rf", "--help", "a" * 101]
)
def test_other_names_are_refused_with_a_reason(name: str) -> None:
    assert name_fault(name)
