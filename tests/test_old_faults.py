"""Each test that docs/old_faults.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

_TESTS = Path(__file__).parent
_PAGE = _TESTS.parent / "docs" / "old_faults.md"


def test_every_old_fault_is_a_test() -> None:
    named = set(re.findall(r"`(test_\w+)`", _PAGE.read_text(encoding="utf-8")))
    there = {
        name for path in _TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert len(named) > 20
    assert sorted(named - there) == []
