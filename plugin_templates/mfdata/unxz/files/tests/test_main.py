"""The step on one file; run by ``make test``."""

import lzma
from pathlib import Path

from main import Unxz

from mfdata import Failed
from mfdata.testing import run_step


def test_a_file_is_uncompressed_under_its_name_without_suffix(tmp_path: Path) -> None:
    file = tmp_path / "some.txt.xz"
    file.write_bytes(lzma.compress(b"some text\n"))
    result = run_step(Unxz, file, folder=tmp_path / "work")
    assert result.done, result.text()
    assert result.outputs["some.txt"].read_bytes() == b"some text\n"


def test_a_broken_file_fails(tmp_path: Path) -> None:
    file = tmp_path / "some.txt.xz"
    file.write_bytes(lzma.compress(b"some text\n")[:-4])
    assert isinstance(run_step(Unxz, file, folder=tmp_path / "work").outcome, Failed)
