"""Entry: whether a claimed file may be processed, and the note in its tags that it came to the step."""

from __future__ import annotations

from mfdata.config import Safety, StepConfig
from mfdata.file import File
from mfdata.outcome import Failed, Outcome
from mfdata.storage.places import Target
from mfdata.worker.deadline import Deadline
from mfext.log import utc


class Entry:
    """The door of one step."""

    def __init__(self, target: Target, config: StepConfig, safety: Safety) -> None:
        """Args: the step, what it declares, and how many steps a file may go through."""
        self._target = target
        self._max_steps = safety.max_steps
        self._deadline = (
            Deadline(target, config.deadline, config.deadline_policy == "drop") if config.deadline else None
        )

    def refuse(self, file: File, now: float) -> Outcome | None:
        """Let *file* enter the step; what becomes of it instead when it may not be processed."""
        late = self._deadline and self._deadline.missed(file.tags, now)
        entered = self._enter(file, now)
        return late or (None if entered <= self._max_steps else _in_a_circle(entered))

    def _enter(self, file: File, now: float) -> int:
        """Note in the tags that the file is in this step; in how many it has been with this one."""
        count = int(file.tags.get("latest.core.step_counter", b"0")) + 1
        file.tags["latest.core.step_counter"] = str(count).encode()
        file.tags[f"{count}.{self._target.plugin}.{self._target.step}.enter_step"] = utc(now).encode()
        return count


def _in_a_circle(count: int) -> Failed:
    return Failed(f"the file went through {count} steps: it runs in a circle", permanent=True, kind="loop")
