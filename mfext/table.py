"""Text for people at a terminal: tables, durations, sizes (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from mfext.log import printable


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A grid with a line of *columns* above *rows*, without a newline at its end."""
    lines = [[printable(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    padded = [[cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)] for line in lines]
    grid = [f"| {' | '.join(line)} |" for line in padded]
    grid.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(grid)


def _width(text: str) -> int:
    """Columns of a terminal that *text* takes: Chinese characters two, accents written by themselves none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def listing(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], noun: str) -> str:
    """A titled grid that ends with ``Total: 3 noun(s)``."""
    return f"{title}:\n\n{table(columns, rows)}\n\nTotal: {len(rows)} {noun}(s)"


def duration(seconds: float | None) -> str:
    """*seconds* in the two largest units that matter, for example ``2d 3h``, ``4m 5s``, ``7s``; '' when unknown."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    for unit, size, lesser, lesser_size in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // lesser_size}{lesser}"
    return f"{whole}s"


def size(count: float | None) -> str:
    """*count* bytes in a readable unit, for example ``31.2 MB``; '' when unknown."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
