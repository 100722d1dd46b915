"""The step on one file; run by ``make test``."""

import zipfile
from pathlib import Path

from main import Unzip

from mfdata import Failed
from mfdata.testing import run_step


def test_what_is_in_it_comes_out(tmp_path: Path) -> None:
    text, file = tmp_path / "text", tmp_path / "some.zip"
    text.write_text("some text\n")
    with zipfile.ZipFile(file, "w") as packed:
        packed.write(text, "folder/some.txt")
    result = run_step(Unzip, file, folder=tmp_path / "work")
    assert result.done, result.text()
    assert result.outputs["some.txt"].read_text() == "some text\n"


def test_what_is_no_archive_fails(tmp_path: Path) -> None:
    file = tmp_path / "some.zip"
    file.write_text("some text\n")
    assert isinstance(run_step(Unzip, file, folder=tmp_path / "work").outcome, Failed)
