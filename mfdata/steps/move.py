"""Move: put every file into a folder outside, under a name of choice."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Output, Step
from mfdata.steps.naming import HELP, LONGEST, check_template, fitted, mode_option, written_path
from mfext.option import option
from mfext.section import Section


@dataclass(frozen=True)
class MoveKeys(Section):
    """Where files go."""

    dest_dir: str = option(
        help="Folder that takes the files: absolute, or below the module's home.", example="/data/out"
    )
    dest_basename: str = option("{ORIGINAL_UID}", help=f"Name of each file below dest_dir; {HELP}")
    if_exists: str = option(
        "replace",
        choices=("replace", "rename", "fail"),
        help="When the name is taken: replace the file that is there, rename the new one (~ and eight digits before "
        "its suffix), or let the new one fail.",
    )
    drop_tags: bool = option(False, help="Leave the tags behind: the file gets no extended attribute of MetWork.")
    force_chmod: str = mode_option()

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class Move(Step):
    """Moves the file itself, complete when it appears."""

    Custom = MoveKeys
    custom: MoveKeys

    def process(self, file: File) -> Done | Failed:
        keys = self.custom
        folder = os.path.join(self.home.path, keys.dest_dir)
        target = written_path(folder, keys.dest_basename, file, f"{self.plugin}/{self.name}", time.localtime())
        if isinstance(target, Failed):
            return target
        if keys.force_chmod:
            file.path.chmod(int(keys.force_chmod, 8))
        if keys.if_exists != "replace":
            return self._put_beside(file, target)
        if keys.drop_tags:
            return Done(Output(self._without_tags(file), to=(target,)))
        return Done(to=target)

    def _put_beside(self, file: File, target: Path) -> Done | Failed:
        from mfdata.steps.placement import place_new

        keys = self.custom
        sidecars, other_name = self.places.sidecars, keys.if_exists == "rename"
        placed = place_new(file, target, sidecars, other_name=other_name, with_tags=not keys.drop_tags)
        if placed is None:
            return Failed(f"{target} exists already, and if_exists = fail", permanent=True)
        return Done()

    def _without_tags(self, file: File) -> Path:
        from mfdata.file import copy

        made = self.output(fitted(file.uid or "file", LONGEST))
        copy(file.path, made)
        made.chmod(file.path.stat().st_mode & 0o7777)
        return made


if __name__ == "__main__":
    Move.main()
