"""Move: put every file into a folder outside, under a name of choice."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Output, Step
from mfdata.steps.naming import HELP, check_template, mode_option, written_path
from mfdata.storage.file_names import LONGEST, fitted
from mfext.option import option
from mfext.section import Section

_OLD_WORDS = {"rename": "number", "fail": "quarantine"}


@dataclass(frozen=True)
class MoveKeys(Section):
    """Where files go."""

    dest_dir: str = option(
        help="Folder that takes the files: absolute, or below the module's home.", example="/data/out"
    )
    dest_basename: str = option("{ORIGINAL_UID}", help=f"Name of each file below dest_dir; {HELP}")
    if_exists: str = option(
        "replace",
        choices=("replace", "number", "quarantine", "rename", "fail"),
        help="When a file of that name is there: replace = the new one takes its place; number = it gets a number of "
        "its own, ~ and eight digits before its suffix; quarantine = it has failed, for good. The trace says which "
        "name it got, or what it replaced. rename and fail are older words for number and quarantine.",
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
        if_exists = _OLD_WORDS.get(keys.if_exists, keys.if_exists)
        if keys.drop_tags:
            return Done(Output(self._without_tags(file), to=(target,)), if_exists=if_exists)
        return Done(to=target, if_exists=if_exists)

    def _without_tags(self, file: File) -> Path:
        from mfext.fs.copy import copy

        made = self.output(fitted(file.uid or "file", LONGEST))
        copy(file.path, made)
        made.chmod(file.path.stat().st_mode & 0o7777)
        return made


if __name__ == "__main__":
    Move.main()
