from __future__ import annotations

from pathlib import Path

import pytest

from mfext.supervision.dev_reload import matters


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("main.py", True),
        ("config.ini", True),
        ("lib/deep/x.py", True),
        ("requirements.txt", True),
        ("data/requirements.txt", False),
        ("README.md", False),
        (".main.py.swp", False),
        (".#main.py", False),
        (".git/hooks/x.py", False),
        ("__pycache__/main.py", False),
        ("main.pyc", False),
    ],
)
def test_only_changes_of_what_runs_matter(path: str, expected: bool) -> None:
    folder = Path("/home/.hidden/plugin")
    assert matters(folder / path, folder) is expected


def test_what_lies_elsewhere_does_not_matter() -> None:
    assert not matters(Path("/other/main.py"), Path("/plugin"))
