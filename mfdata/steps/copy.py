"""Copy: give every file to several steps or folders."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from mfdata import Done, Failed, File, Step
from mfdata.steps.naming import HELP, check_template, if_exists_option, written_path
from mfext.errors import ConfigError
from mfext.option import option
from mfext.section import Section

_STEP = re.compile(r"([A-Za-z0-9_-]+/)?[A-Za-z0-9_]+\*?")


@dataclass(frozen=True)
class CopyKeys(Section):
    """Who gets the files."""

    dest_dirs: tuple[str, ...] = option(
        help="Destinations, separated by : or ,. A step is written PLUGIN/STEP, or PLUGIN/STEP* when that step never "
        "changes the content of a file, which saves a copy; a folder is written /absolute or ./below/the/home.",
        example="archive/main*:to_paris/send:/data/out",
    )
    dest_basename: str = option("{ORIGINAL_BASENAME}", help=f"Name of each file in a folder; {HELP}")
    if_exists: str = if_exists_option("number")

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")
        wrong = [name for name in self.names if not is_folder(name) and not _STEP.fullmatch(name)]
        if wrong or not self.names:
            raise ConfigError(
                f'"{wrong[0]}" is no destination' if wrong else "there is no destination",
                where="[custom] dest_dirs",
                expected="PLUGIN/STEP, PLUGIN/STEP*, /a/folder or ./a/folder",
            )

    @property
    def names(self) -> list[str]:
        """The destinations, each once."""
        names = (name.strip() for group in self.dest_dirs for name in group.split(","))
        return list(dict.fromkeys(name for name in names if name))


class Copy(Step):
    """All destinations get the file, or none does."""

    Custom = CopyKeys
    custom: CopyKeys

    def process(self, file: File) -> Done | Failed:
        moment = time.localtime()
        destinations = [self._destination(name, file, moment) for name in self.custom.names]
        failed = next((one for one in destinations if isinstance(one, Failed)), None)
        found = tuple(one for one in destinations if not isinstance(one, Failed))
        return failed or Done(to=found, if_exists=self.custom.if_exists)

    def _destination(self, name: str, file: File, moment: time.struct_time) -> str | Path | Failed:
        if not is_folder(name):
            return name
        folder = self.home.path / name
        return written_path(folder, self.custom.dest_basename, file, f"{self.plugin}/{self.name}", moment)


def is_folder(name: str) -> bool:
    """Whether *name* is written as a folder is."""
    return name.startswith(("/", "./"))


if __name__ == "__main__":
    Copy.main()
