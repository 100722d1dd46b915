"""What a step says of a file when it is done with it; ``worker/retry_policy.py`` decides what then happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Output:
    """A file that a step made, where ``Step.output`` said."""

    #: What ``Step.output`` gave; its name is what the next step sees.
    path: Path
    #: Where it goes: ``plugin/step`` (own plugin when there is no ``/``), or a path to be written; () = the outcome's.
    to: tuple[str | Path, ...] = ()


@dataclass(frozen=True)
class Done:
    """Outcome: the file is dealt with; it, or what was made of it, goes on.

    ``Done()``: the step has done all there was to do; the file ends here.
    ``Done(to="archive/main")``: hand over the file itself. A ``str`` names a step (a trailing ``*`` allows a
    hard link), a ``Path`` a file to write, complete when it appears.
    ``Done(output, to=…)``: the file ends here, its outputs are handed over. When every output says itself where it
    goes, ``to`` is for the file itself.

    Raises:
        TypeError: an output is no path, or a tag is not bytes by name.
        ValueError: ``if_exists`` is none of the three words.
    """

    #: What the step made of the file: paths that ``Step.output`` gave, or each as an ``Output``.
    outputs: tuple[Output, ...] = ()
    #: Where the outputs go, or the file itself when there are none: one destination or several; () = nowhere.
    to: tuple[str | Path, ...] = ()
    #: The named rule that lets the file end here undelivered; '' = it was dealt with.
    dropped_by: str = ""
    #: Tags to add to the file and its outputs: bytes by name.
    tags: dict[str, bytes] = field(default_factory=dict)
    #: By ``plugin/step``: the priority in that step's queue, a whole number from 0, which comes first, to 9, where it
    #: is not the one that the file has.
    priorities: Mapping[str, int] = field(default_factory=dict)
    #: When a ``Path`` is taken: ``replace`` what is there, another name (``number``), or ``quarantine``.
    if_exists: str = "replace"
    #: What the trace says of it besides, one line.
    note: str = field(default="", compare=False)

    def __init__(
        self,
        *outputs: Path | Output,
        to: str | Path | Sequence[str | Path] = (),
        dropped_by: str = "",
        tags: dict[str, bytes] | None = None,
        priorities: Mapping[str, int] | None = None,
        if_exists: str = "replace",
        note: str = "",
    ) -> None:
        made = tuple(output if isinstance(output, Output) else Output(_path(output)) for output in outputs)
        for tag, value in (tags or {}).items():
            if not isinstance(tag, str) or not isinstance(value, bytes):
                raise TypeError(f"tags are bytes by name; found {tag!r}: {value!r}")
        object.__setattr__(self, "outputs", made)
        object.__setattr__(self, "to", (to,) if isinstance(to, (str, Path)) else tuple(to))
        object.__setattr__(self, "dropped_by", dropped_by)
        object.__setattr__(self, "tags", tags or {})
        object.__setattr__(self, "priorities", priorities or {})
        if if_exists not in ("number", "replace", "quarantine"):
            raise ValueError(f"if_exists is number, replace or quarantine; found {if_exists!r}")
        object.__setattr__(self, "if_exists", if_exists)
        object.__setattr__(self, "note", note)


def _path(output: object) -> Path:
    if isinstance(output, Path):
        return output
    raise TypeError(f"an output is a Path, best what self.output(NAME) gave; found {output!r}; steps are named by to=")


@dataclass(frozen=True)
class Retry:
    """Outcome: it may work later; the file is tried again by the step's retry policy."""

    #: Why it did not work, for the trace.
    reason: str = ""
    #: Seconds to wait; None = as the policy says.
    after: float | None = None
    #: This try is one of those that the policy allows; False: it says nothing of the file, which may wait for ever.
    counts: bool = True


@dataclass(frozen=True)
class Hold:
    """Outcome: no file can be dealt with now; this one goes back to where it was, and none is taken for a while."""

    #: What is in the way, for the trace.
    reason: str
    #: Seconds for which the process takes no file.
    wait: float


@dataclass(frozen=True)
class Expired:
    """Outcome: the file came too late; it ends here, by a named rule."""

    #: The name of the rule, which the trace has.
    rule: str
    #: How late it was, for the trace.
    reason: str


@dataclass(frozen=True)
class Failed:
    """Outcome: it did not work; the file is tried again or goes to where the step's failure policy says."""

    #: What was wrong, one line for the trace and the quarantine.
    reason: str
    #: Another try is of no use.
    permanent: bool = False
    #: One word for the quarantine: failed, no_match, rule_error, ...
    kind: str = "failed"
    #: The stack of the exception, for the developer.
    traceback: str = ""


#: What a step says of a file: the type of what ``process`` returns.
Outcome = Done | Retry | Failed | Hold | Expired
