"""What of a plugin's folder is not released: patterns as git has them, from ``.releaseignore`` and of ours (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

FILE = ".releaseignore"

#: What version control, Python, tools and editors leave; archives made before; our own files.
ALWAYS = (
    ".git", ".hg", ".svn", ".gitignore", ".gitattributes",
    "__pycache__", "*.pyc", "*.pyo", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".venv",
    "*~", ".*.swp", ".idea", ".vscode", ".DS_Store",
    "/*.plugin", "/.installed", "/.requirements", f"/{FILE}",
)  # fmt: skip


@dataclass(frozen=True)
class Pattern:
    """One line: it ignores paths, or (``!``) takes back what a line above it ignores."""

    expression: re.Pattern[str]
    ignores: bool
    folders_only: bool


def patterns(lines: Iterable[str]) -> list[Pattern]:
    """The patterns that *lines* are; empty ones and those that start with ``#`` are none."""
    stripped = (line.strip() for line in lines)
    return [_pattern(line) for line in stripped if line and not line.startswith("#")]


def is_ignored(path: PurePath, is_folder: bool, known: Iterable[Pattern]) -> bool:
    """Whether *path*, relative to the plugin's folder, is not released; the last pattern that fits it decides."""
    ignored, text = False, path.as_posix()
    for pattern in known:
        if (is_folder or not pattern.folders_only) and pattern.expression.fullmatch(text):
            ignored = pattern.ignores
    return ignored


def _pattern(line: str) -> Pattern:
    ignores = not line.startswith("!")
    text = line.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    # Without a slash inside it fits at any depth.
    start = "" if "/" in text else "(?:.*/)?"
    return Pattern(re.compile(start + _expression(text.lstrip("/")), re.DOTALL), ignores, folders_only)


def _expression(text: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", text)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(part) or (_set(part) if part.startswith("[") else re.escape(part)) for part in parts)


def _set(part: str) -> str:
    inside = part[1:-1].replace("\\", r"\\")
    return f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]"
