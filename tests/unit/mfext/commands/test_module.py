from __future__ import annotations

from mfext.commands.module import wrapped_below


def test_a_finding_goes_on_under_its_own_column() -> None:
    lines = wrapped_below("a word and " * 20, 30, 80)
    assert len(lines) > 2
    assert max(map(len, lines)) <= 50
    assert wrapped_below("a word and " * 20, 30, None) == ["a word and " * 20]
