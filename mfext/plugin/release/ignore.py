"""What of a plugin's folder is not released: patterns as git has them, from ``.releaseignore`` and of ours."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FILE = ".releaseignore"

#: What version control, Python, tools and editors leave; archives made before; our own files.
ALWAYS = (
    ".git", ".hg", ".svn", ".gitignore", ".gitattributes",
    "__pycache__", "*.pyc", "*.pyo", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".venv",
    "*~", ".*.swp", ".idea", ".vscode", ".DS_Store",
    "/*.plugin", "/.installed", "/.requirements", f"/{FILE}",
)  # fmt: skip


def patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    """The patterns that *lines* are; empty ones and those that start with ``#`` are none (pure).

    A line may be indented.

    Raises:
        ValueError: git would not understand one.
    """
    # Only who makes an archive needs it.
    from pathspec import GitIgnoreSpec

    # The others, which it takes where they are installed, want text that UTF-8 can say: names of files are any bytes.
    return GitIgnoreSpec.from_lines((line.lstrip() for line in lines), backend="simple")


def is_ignored(path: PurePath, is_folder: bool, known: GitIgnoreSpec) -> bool:
    """Whether *path*, relative to the plugin's folder, is not released: the last pattern that fits decides (pure)."""
    return known.match_file(f"{path.as_posix()}/" if is_folder else path.as_posix())
