"""For authors of plugins: run a step on a file and look at what came out.

>>> result = run_step(Convert, "tests/radar.png", custom={"quality": "80"})
>>> assert result.done
>>> assert result.outputs["radar.jpg"].stat().st_size > 1000
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfdata.batch import BatchStep, outcomes_of
from mfdata.config import StepConfig
from mfdata.file import File
from mfdata.outcome import Done, Expired, Failed, Hold, Outcome, Retry
from mfdata.step import Step
from mfdata.storage.names import waiting_name
from mfdata.storage.tags import Tags, first_tags, new_uid, write_tags
from mfext.environment import Home
from mfext.errors import UsageError
from mfext.fs.copy import copy
from mfext.section import Config, FreeSection

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin

__all__ = ["Result", "run_batch", "run_step"]


@dataclass(frozen=True)
class Result:
    """What a step made of a file."""

    #: What ``process`` returned; ``Failed`` for what it raised, ``Done()`` for None.
    outcome: Outcome
    #: The tags of the file afterwards: bytes by name.
    tags: Tags
    #: The outputs that the outcome names, by their names.
    outputs: Mapping[str, Path] = field(default_factory=dict)
    #: The copy that the step had.
    path: Path = Path()

    @property
    def done(self) -> bool:
        """Whether the file was dealt with: True for ``Done``."""
        return isinstance(self.outcome, Done)

    def text(self) -> str:
        """Outcome, destinations and outputs as text for a person, a line each."""
        lines = [f"outcome: {_described(self.outcome)}"]
        if isinstance(self.outcome, Done):
            lines += [f"to: {to}" for to in self.outcome.to]
            lines += [f"output: {path} ({path.stat().st_size} bytes)" for path in self.outputs.values()]
        if isinstance(self.outcome, Failed) and self.outcome.traceback:
            lines.append(self.outcome.traceback.rstrip())
        return "\n".join(lines) + "\n"


def run_step(
    kind: type[Step],
    file: str | Path,
    *,
    custom: Mapping[str, str] | None = None,
    tags: Mapping[str, bytes] | None = None,
    name: str = "",
    plugin: Plugin | None = None,
    folder: Path | None = None,
    keep_outputs: bool = True,
) -> Result:
    """The result of the step *kind* on a copy of *file*, outside of any module; nothing else is touched.

    Args:
        kind: the class of the step.
        file: path of the file; it stays as it is.
        custom: keys of [custom], as texts.
        tags: tags that the file has besides the first ones: bytes by name.
        name: the name that the file came in with; by default its own.
        plugin: take configuration and names from this plugin.
        folder: where to work; by default a new temporary folder.
        keep_outputs: leave the folder for the caller to look at; it is his to remove.

    Raises:
        UsageError: there is no such file.
        ConfigError: *custom* is not as the step declares it.
    """
    source = _sure_file(file)
    work = folder or Path(tempfile.mkdtemp(prefix="metwork-step-"))
    step = _made(kind, plugin, custom or {}, Home("mfdata", work))
    claimed, known = _claimed(source, name, work, step)
    try:
        step.open()
        outcome = _run(step, File(claimed, {**known, **(tags or {})}), claimed)
        step.close()
        return outcome
    finally:
        if not keep_outputs:
            shutil.rmtree(work, ignore_errors=True)


def run_batch(
    kind: type[BatchStep],
    files: Sequence[str | Path],
    *,
    custom: Mapping[str, str] | None = None,
    plugin: Plugin | None = None,
    folder: Path | None = None,
) -> list[Result]:
    """The results of the batch step *kind* on copies of *files*, called once: one for each file, in order.

    Args:
        kind: the class of the step.
        files: paths of the files; they stay as they are.
        custom: keys of [custom], as texts.
        plugin: take configuration and names from this plugin.
        folder: where to work; by default a new temporary folder, which is the caller's to remove.

    Raises:
        UsageError: one of *files* is not there.
        ConfigError: *custom* is not as the step declares it.
    """
    sources = [_sure_file(file) for file in files]
    work = folder or Path(tempfile.mkdtemp(prefix="metwork-step-"))
    step = _made(kind, plugin, custom or {}, Home("mfdata", work))
    assert isinstance(step, BatchStep)
    claimed = [File(*_claimed(source, "", work, step)) for source in sources]
    step.open()
    step.begin(claimed[0].place)
    outcomes = _outcomes(lambda: outcomes_of(step.process_batch(claimed), len(claimed)), len(claimed))
    step.close()
    return [_result(outcome, file) for outcome, file in zip(outcomes, claimed, strict=True)]


def _sure_file(file: str | Path) -> Path:
    source = Path(file)
    if not source.is_file():
        raise UsageError("there is no such file", where=str(source))
    return source


def _made(kind: type[Step], plugin: Plugin | None, custom: Mapping[str, str], home: Home) -> Step:
    if plugin is None:
        sections = Config({"custom": FreeSection(custom)}, {}, {})
        return kind(home, "plugin", "main", StepConfig(), sections.section("custom", kind.Custom))
    steps = plugin.config.names("step_*")
    config = plugin.config.section(steps[0], StepConfig)
    return kind(home, plugin.name, steps[0][5:], config, plugin.config.section("custom", kind.Custom))


def _claimed(source: Path, name: str, work: Path, step: Step) -> tuple[Path, Tags]:
    basename = os.fsencode(name or source.name)
    tags = first_tags(new_uid(), basename, b"incoming")
    count, entry = b"1", f"1.{step.plugin}.{step.name}.enter_step"
    tags |= {"latest.core.step_counter": count, entry: b"now"}
    folder = work / "claimed"
    folder.mkdir(parents=True, exist_ok=True)
    claimed = folder / waiting_name(basename)
    copy(source, claimed)
    write_tags(claimed, tags, step.places.sidecars)
    return claimed, tags


def _run(step: Step, file: File, claimed: Path) -> Result:
    step.begin(os.fspath(claimed))
    (outcome,) = _outcomes(lambda: [step.process(file) or Done()], 1)
    return _result(outcome, file)


def _outcomes(act: Callable[[], list[Outcome]], count: int) -> list[Outcome]:
    import traceback

    try:
        return act()
    except Exception as error:  # as the worker does
        return [Failed(f"{type(error).__name__}: {error}", traceback=traceback.format_exc())] * count


def _result(outcome: Outcome, file: File) -> Result:
    outputs = {output.path.name: output.path for output in outcome.outputs} if isinstance(outcome, Done) else {}
    return Result(outcome, file.tags, outputs, file.path)


def _described(outcome: Outcome) -> str:
    match outcome:
        case Done(dropped_by=rule) if rule:
            return f"dropped by {rule}"
        case Done():
            return "done"
        case Retry(reason, after):
            when = f" in {after:g} s" if after is not None else ""
            return f"try again{when}: {reason}"
        case Hold(reason, wait):
            return f"no file for {wait:g} s: {reason}"
        case Expired(_, reason):
            return f"expired: {reason}"
        case Failed(reason):
            return f"failed: {reason}"
    return str(outcome)
