"""Archive: keep every file, and its tags beside it, in a folder tree by date."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Step
from mfdata.file import Tags, move
from mfdata.steps.naming import HELP, check_template, mode_option, written_path
from mfext.option import option
from mfext.section import Section


@dataclass(frozen=True)
class ArchiveKeys(Section):
    """Where files are kept."""

    dest_dir: str = option("var/archive", help="Folder that takes the files: absolute, or below the module's home.")
    dest_basename: str = option("%Y%m%d/{ORIGINAL_UID}", help=f"Name of each file below dest_dir; {HELP}")
    keep_tags_suffix: str = option(
        ".tags",
        pattern="[^/]*",
        form='text without "/"',
        help="The tags of each file are written beside it, into a file with this suffix; empty = they are not.",
    )
    force_chmod: str = mode_option()

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class Archive(Step):
    """Moves the file itself into the archive."""

    Custom = ArchiveKeys
    custom: ArchiveKeys

    def process(self, file: File) -> Done | Failed:
        keys = self.custom
        folder = self.home.path / keys.dest_dir
        reserve = len(os.fsencode(keys.keep_tags_suffix))
        place = f"{self.plugin}/{self.name}"
        target = written_path(folder, keys.dest_basename, file, place, time.localtime(), reserve=reserve)
        if isinstance(target, Failed):
            return target
        if keys.force_chmod:
            file.path.chmod(int(keys.force_chmod, 8))
        if keys.keep_tags_suffix:
            # Before the file, so that whoever sees it finds them; a second try writes them again.
            self._write_tags(file, target.with_name(target.name + keys.keep_tags_suffix))
        return Done(to=target)

    def _write_tags(self, file: File, target: Path) -> None:
        made = self.output("tags")
        made.write_text(tags_text(file.tags), encoding="utf-8", errors="surrogateescape")
        move(made, target)


def tags_text(tags: Tags) -> str:
    """*tags* for people and scripts: one line ``NAME = VALUE`` each, sorted; control characters are escaped."""
    return "".join(f"{name} = {_one_line(value)}\n" for name, value in sorted(tags.items()))


def _one_line(value: bytes) -> str:
    text = os.fsdecode(value)
    return "".join(c if c >= " " and c not in "\x7f\\" else c.encode("unicode_escape").decode() for c in text)


if __name__ == "__main__":
    Archive.main()
