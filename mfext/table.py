"""Text for people at a terminal: tables, durations, sizes (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mfext.log import printable

#: Where something is cut.
_CUT = "…"
#: What is said below a table that has no room for all of it, by commands that have this option.
WIDE_SHOWS_ALL = "-o wide shows all"


@dataclass(frozen=True)
class Column:
    """A column of a table that may have to fit a terminal."""

    title: str
    #: It may be cut to so many characters, at its end; 0 = never while there is another way.
    least: int = 0
    #: Cut at its beginning instead: of a path, the end says most.
    keeps_end: bool = False
    #: Left out where there is no room for it: the highest number first; 0 = never.
    leaves: int = 0


#: Makes of a cell, and of the title of its column, what a terminal shows in colour; both are plain before.
Paint = Callable[[str, str], str]


def table(
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[str]],
    width: int | None = None,
    paint: Paint = lambda _title, cell: cell,
) -> str:
    """A grid with a line of *columns* above *rows*, without a newline at its end.

    Args:
        columns: their titles, and what may happen to them where there is little room.
        rows: a cell for each column.
        width: characters that a line may have; None = any number.
        paint: gives the cells their colour.
    """
    declared, lines = _cells(columns, rows)
    shown = _fitted(declared, _widths(lines), width)
    grid = []
    for number, line in enumerate(lines):
        cells = [_padded(line[at], room, paint if number else None, declared[at]) for at, room in sorted(shown.items())]
        grid.append(f"| {' | '.join(cells)} |")
    grid.insert(1, "|" + "|".join("-" * (room + 2) for _, room in sorted(shown.items())) + "|")
    return "\n".join(grid)


def is_whole(columns: Sequence[str | Column], rows: Iterable[Sequence[str]], width: int | None) -> bool:
    """Whether ``table`` shows all columns, and no cell cut, of the same arguments (pure)."""
    declared, lines = _cells(columns, rows)
    widths = _widths(lines)
    return _fitted(declared, widths, width) == dict(enumerate(widths))


def _cells(
    columns: Sequence[str | Column], rows: Iterable[Sequence[str]]
) -> tuple[Sequence[Column], Sequence[Sequence[str]]]:
    """The columns as they are declared, and the lines as they are shown, that of the titles first."""
    declared = [one if isinstance(one, Column) else Column(one) for one in columns]
    return declared, [[printable(cell) for cell in row] for row in ([one.title for one in declared], *rows)]


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, cells)) for cells in zip(*lines, strict=True)]


def _fitted(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> dict[int, int]:
    """The numbers of the columns that are shown, each with the room that it has (pure)."""
    shown = dict(enumerate(widths))
    if width is None:
        return shown

    def excess() -> int:
        return sum(shown.values()) + 3 * len(shown) + 1 - width

    leaving = sorted((one for one in shown if columns[one].leaves), key=lambda one: columns[one].leaves)
    least = {at: min(room, columns[at].least or room) for at, room in shown.items()}
    while leaving and sum(least[at] for at in shown) + 3 * len(shown) + 1 > width:
        del shown[leaving.pop()]
    if sum(least[at] for at in shown) + 3 * len(shown) + 1 > width:
        least = dict.fromkeys(shown, 4)  # a line that is broken is worse than a word that is
    while excess() > 0:
        widest = max((at for at in shown if shown[at] > least[at]), key=lambda at: shown[at], default=None)
        if widest is None:
            break
        others = [shown[at] for at in shown if at != widest and shown[at] > least[at]]
        next_widest = max(others, default=0)
        shown[widest] = max(least[widest], shown[widest] - excess(), min(next_widest, shown[widest] - 1))
    return shown


def _padded(cell: str, room: int, paint: Paint | None, column: Column) -> str:
    cell = cut(cell, room, keeps_end=column.keeps_end)
    padding = " " * (room - _width(cell))
    return (paint(column.title, cell) if paint else cell) + padding


def cut(text: str, room: int, *, keeps_end: bool) -> str:
    """*text* in *room* columns of a terminal, with a mark where something is missing."""
    if _width(text) <= room:
        return text
    kept: list[str] = []
    left = room - 1
    for character in reversed(text) if keeps_end else text:
        left -= _width(character)
        if left < 0:
            break
        kept.append(character)
    return _CUT + "".join(reversed(kept)) if keeps_end else "".join(kept) + _CUT


def _width(text: str) -> int:
    """Columns of a terminal that *text* takes: Chinese characters two, accents written by themselves none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def listing(
    title: str,
    columns: Sequence[str | Column],
    rows: Sequence[Sequence[str]],
    noun: str,
    width: int | None = None,
    paint: Paint = lambda _title, cell: cell,
) -> str:
    """A titled grid that ends with ``Total: 3 noun(s)``, and the option that shows all where there is no room for it.

    Other arguments are as those of ``table``; a command that gives a *width* has the option.
    """
    text = f"{title}:\n\n{table(columns, rows, width, paint)}\n\nTotal: {len(rows)} {noun}(s)"
    return text if is_whole(columns, rows, width) else f"{text}\n{WIDE_SHOWS_ALL}"


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
