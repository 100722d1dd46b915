"""What a step says of a file when it is done with it, and what then happens (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Output:
    """A file that a step made, made in the folder that ``Step.output`` gives."""

    path: Path
    #: Where it goes: ``plugin/step`` (own plugin when there is no ``/``), or a path to be written; () = the outcome's.
    to: tuple[str | Path, ...] = ()


@dataclass(frozen=True)
class Done:
    """The file is dealt with.

    ``Done()``: the step has done all there was to do; the file ends here.
    ``Done(to="archive/main")``: hand over the file itself. A ``str`` names a step (a trailing ``*`` allows a
    hard link), a ``Path`` a file to write, complete when it appears.
    ``Done(output, to=…)``: the file ends here, its outputs are handed over.
    """

    outputs: tuple[Output, ...] = ()
    to: tuple[str | Path, ...] = ()
    #: The named rule that lets the file end here undelivered; '' = it was dealt with.
    dropped_by: str = ""
    #: Tags to add to the file and its outputs.
    tags: dict[str, bytes] = field(default_factory=dict)

    def __init__(
        self,
        *outputs: Path | Output,
        to: str | Path | tuple[str | Path, ...] | list[str | Path] | list[str] = (),
        dropped_by: str = "",
        tags: dict[str, bytes] | None = None,
    ) -> None:
        made = tuple(output if isinstance(output, Output) else Output(output) for output in outputs)
        object.__setattr__(self, "outputs", made)
        object.__setattr__(self, "to", (to,) if isinstance(to, (str, Path)) else tuple(to))
        object.__setattr__(self, "dropped_by", dropped_by)
        object.__setattr__(self, "tags", tags or {})


@dataclass(frozen=True)
class Retry:
    """It may work later: try again by the step's retry policy."""

    reason: str = ""
    #: Seconds to wait; None = as the policy says.
    after: float | None = None


@dataclass(frozen=True)
class Failed:
    """It did not work. ``permanent`` means that another try is of no use."""

    reason: str
    permanent: bool = False
    #: The stack of the exception, for the developer.
    traceback: str = ""


Outcome = Done | Retry | Failed
