"""The report: one row a fault, with the inventory equation as it stood in the end."""

from __future__ import annotations

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
    except (Unbalanced, TimeoutError) as error:
        return Row(fault, f"FAILED: {error}")
    return Row(fault, "balanced" if reached else "not reached", equation(books))


def equation(books: dict[str, Any]) -> str:
    """The inventory equation with its numbers."""
    left = " + ".join(f"{books[name]} {name}" for name in ("accepted", "injected", "added") if books[name])
    states = {state: sum(books[state].values()) for state in ("waiting", "claimed", "delayed", "quarantined")}
    right = " + ".join(f"{count} {name}" for name, count in {**_ended(books), **states}.items() if count)
    return f"{left} = {right}"


def _ended(books: dict[str, Any]) -> dict[str, int]:
    return {name: books[name] for name in ("ended", "dropped")}
