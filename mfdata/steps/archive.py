"""Archive: keep every file, and its tags beside it, in a folder tree by date."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mfdata import Done, Failed, File, Step
from mfdata.steps.naming import HELP, check_template, if_exists_option, mode_option, written_path
from mfdata.storage.file_names import LONGEST
from mfdata.storage.placement import QUARANTINE, REPLACE, other_names, place
from mfdata.storage.tags import Tags, has_attribute
from mfext.option import option
from mfext.section import Section

_LARGEST_TAGS = 1 << 20


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
    if_exists: str = if_exists_option("number")
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
        if not keys.keep_tags_suffix:
            return Done(to=target, if_exists=keys.if_exists)
        return self._with_tags_beside(file, target, LONGEST - reserve)

    def _with_tags_beside(self, file: File, target: Path, longest: int) -> Done | Failed:
        """Write the tags before the file, so that whoever sees it finds them; a second try finds them as well.

        Their name is what keeps two files of one name apart: who could put them there has the name of the file too.
        """
        made = self.output("tags")
        made.write_text(tags_text(file.tags), encoding="utf-8", errors="surrogateescape")
        if_exists = self.custom.if_exists
        if if_exists == REPLACE and not _is_of_another_kind(target, self._beside(target)):
            place(made, self._beside(target), REPLACE)
            return Done(to=target, if_exists=REPLACE)
        names = (
            [target.name]
            if if_exists == QUARANTINE
            else chain([target.name], other_names(target.name, file.uid, longest))
        )
        for path in map(target.with_name, names):
            if not os.path.lexists(path) and self._put_beside(made, path, file):
                note = f"{target} was taken" if path != target else ""
                return Done(to=path, if_exists=if_exists, note=note)
        return Failed(
            f"{target}, or its {self.custom.keep_tags_suffix}, exists already, and if_exists = quarantine",
            permanent=True,
        )

    def _put_beside(self, made: Path, path: Path, file: File) -> bool:
        """Whether the tags are now beside *path*, or were already."""
        beside = self._beside(path)
        with suppress(FileExistsError):
            place(made, beside, QUARANTINE)
            return True
        return _is_tags(beside, file.uid)

    def _beside(self, path: Path) -> Path:
        return path.with_name(path.name + self.custom.keep_tags_suffix)


def _is_of_another_kind(target: Path, beside: Path) -> bool:
    """Whether tags would replace a file, or a file tags."""
    return (os.path.lexists(beside) and not _is_tags(beside)) or _is_tags(target)


def _is_tags(path: Path, uid: str = "") -> bool:
    """Whether *path* holds the tags of a file, of the file *uid*; a file that was archived has tags itself."""
    wanted = f"latest.core.uid = {uid}\n", f"first.core.original_uid = {uid}\n"
    with suppress(OSError, ValueError):
        if not has_attribute(path) and not path.is_symlink() and path.stat().st_size <= _LARGEST_TAGS:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            lines = text.splitlines(keepends=True)
            if uid:
                return any(line in wanted for line in lines)
            return bool(lines) and all(" = " in line for line in lines) and "first.core.original_uid = " in text
    return False


def tags_text(tags: Tags) -> str:
    """*tags* for people and scripts: one line ``NAME = VALUE`` each, sorted; control characters are escaped."""
    return "".join(f"{name} = {_one_line(value)}\n" for name, value in sorted(tags.items()))


def _one_line(value: bytes) -> str:
    text = os.fsdecode(value)
    return "".join(c if c >= " " and c not in "\x7f\\" else c.encode("unicode_escape").decode() for c in text)


if __name__ == "__main__":
    Archive.main()
