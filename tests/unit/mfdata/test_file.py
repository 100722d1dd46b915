"""A file that a step has claimed."""

from __future__ import annotations

import os
from pathlib import Path

from mfdata.file import File
from mfdata.storage.tags import first_tags


def test_the_name_of_a_file_may_be_any_bytes() -> None:
    tags = first_tags("uid", b"caf\xe9.grib", b"in")
    file = File(Path("5-1-2-caf_.grib"), tags)
    assert os.fsencode(file.basename) == b"caf\xe9.grib"
    assert file.suffix == ".grib"
    assert file.uid == "uid"
