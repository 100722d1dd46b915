"""The report: one row a fault, with the inventory equation as it stood in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.matrix.module import ModuleUnderTest, Unbalanced


@dataclass(frozen=True)
class Row:
    """A fault, and what came of it."""

    fault: str
    #: ``balanced``, ``not reached``, ``skipped: why``, or what is wrong.
    result: str
    #: What the books said in the end.
    equation: str = ""
    #: Files that came in, and processes killed, since the row before.
    files: int = 0
    kills: int = 0
    #: Files that are not where they should be, and such as are there too often.
    lost: int = 0
    doubled: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost or doubled."""
        return self.result in ("balanced", "not reached") or self.result.startswith("skipped")

    def __str__(self) -> str:
        return f"{self.result:<12} {self.fault}"


def row(module: ModuleUnderTest, fault: str, *, reached: bool = True, timeout: float = 60.0) -> Row:
    """Wait until all files are at their end, and see whether none is lost and none is there twice."""
    try:
        module.settle(timeout)
        books = module.check()
    except Unbalanced as error:
        return Row(fault, f"FAILED: {error}", "", *module.since_last(), error.lost, error.doubled)
    except TimeoutError as error:
        return Row(fault, f"FAILED: {error}", "", *module.since_last())
    return Row(fault, "balanced" if reached else "not reached", equation(books), *module.since_last())


def equation(books: dict[str, Any]) -> str:
    """The inventory equation with its numbers."""
    left = " + ".join(f"{books[name]} {name}" for name in ("accepted", "injected", "added") if books[name])
    states = {state: sum(books[state].values()) for state in ("waiting", "claimed", "delayed", "quarantined")}
    right = " + ".join(f"{count} {name}" for name, count in {**_ended(books), **states}.items() if count)
    return f"{left} = {right}"


def _ended(books: dict[str, Any]) -> dict[str, int]:
    return {name: books[name] for name in ("ended", "dropped")}


def summary(rows: Mapping[str, Sequence[Row]], seconds: Mapping[str, float]) -> tuple[str, bool]:
    """A line a part with the last of its equations, then the sum; and whether all is good (pure)."""
    lines = [
        f"{'part':14} {'faults':>6} {'kills':>6} {'files':>7} {'not met':>7} {'skipped':>7} {'FAILED':>6} {'s':>5}"
    ]
    for name, found in rows.items():
        results = [one.result.partition(":")[0] for one in found]
        counts = [results.count(result) for result in ("not reached", "skipped", "FAILED")]
        kills, files = sum(one.kills for one in found), sum(one.files for one in found)
        columns = f"{len(found):6} {kills:6} {files:7} {counts[0]:7} {counts[1]:7} {counts[2]:6} {seconds[name]:5.0f}"
        lines.append(f"{name:14} {columns}")
        lines += [f"{'':14} {one.equation}" for one in found[-1:] if one.equation]
    every = [one for found in rows.values() for one in found]
    is_good = all(one.is_good for one in every)
    lost, doubled = sum(one.lost for one in every), sum(one.doubled for one in every)
    lines.append(
        f"\n{len(every)} faults, {sum(one.kills for one in every)} kills, {sum(one.files for one in every)} files in "
        f"{sum(seconds.values()):.0f} s: {lost} lost, {doubled} duplicated inside"
        + ("" if is_good else f"; {sum(not one.is_good for one in every)} FAILED")
    )
    return "\n".join(lines), is_good
