"""The step on one file; run by ``make test``."""

import tarfile
from pathlib import Path

from main import Untar

from mfdata import Failed
from mfdata.testing import run_step


def test_what_is_in_it_comes_out(tmp_path: Path) -> None:
    text, file = tmp_path / "text", tmp_path / "some.tar"
    text.write_text("some text\n")
    with tarfile.open(file, "w") as packed:
        packed.add(text, "folder/some.txt")
    result = run_step(Untar, file, folder=tmp_path / "work")
    assert result.done, result.text()
    assert result.outputs["some.txt"].read_text() == "some text\n"


def test_what_is_no_archive_fails(tmp_path: Path) -> None:
    file = tmp_path / "some.tar"
    file.write_text("some text\n")
    assert isinstance(run_step(Untar, file, folder=tmp_path / "work").outcome, Failed)
