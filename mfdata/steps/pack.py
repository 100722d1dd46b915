"""Pack: many files become one tar file."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mfdata import BatchStep, Done, Failed, File
from mfdata.steps.naming import HELP, check_template, written_path
from mfdata.storage.file_names import marked
from mfext.option import option
from mfext.section import Section


@dataclass(frozen=True)
class PackKeys(Section):
    """What becomes of the files."""

    destination: str = option("switch/main", help="The step that gets the tar files, as PLUGIN/STEP.")
    dest_basename: str = option(
        "%Y%m%d%H%M%S_{ORIGINAL_UID}.tar",
        pattern="[^/]+",
        help=f"Name of each tar file, where the first file in it gives the values; {HELP}",
    )

    def __post_init__(self) -> None:
        check_template(self.dest_basename, "dest_basename")


class Pack(BatchStep):
    """Puts the files of a batch into one tar file, each under its name."""

    Custom = PackKeys
    custom: PackKeys

    def process_batch(self, files: Sequence[File]) -> Done | Failed:
        place = f"{self.plugin}/{self.name}"
        path = written_path(self.home.path, self.custom.dest_basename, files[0], place, time.localtime())
        if isinstance(path, Failed):
            return path
        made = self.output(path.name)
        names: set[str] = set()
        # dereference: of two names of one content, the second would be a mere link.
        with tarfile.open(made, "w", dereference=True) as packed:
            for file in files:
                name = file.basename if file.basename not in names else marked(file.basename, file.uid)
                names.add(name)
                with open(file.path, "rb") as content:
                    packed.addfile(packed.gettarinfo(arcname=name, fileobj=content), content)
        return Done(made, to=self.custom.destination)


if __name__ == "__main__":
    Pack.main()
