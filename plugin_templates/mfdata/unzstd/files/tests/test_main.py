"""The step on one file; run by ``make test``."""

from pathlib import Path

import zstandard
from main import Unzstd

from mfdata import Failed
from mfdata.testing import run_step


def test_a_file_is_uncompressed_under_its_name_without_suffix(tmp_path: Path) -> None:
    file = tmp_path / "some.txt.zst"
    file.write_bytes(zstandard.ZstdCompressor().compress(b"some text\n"))
    result = run_step(Unzstd, file, folder=tmp_path / "work")
    assert result.done, result.text()
    assert result.outputs["some.txt"].read_bytes() == b"some text\n"


def test_a_broken_file_fails(tmp_path: Path) -> None:
    file = tmp_path / "some.txt.zst"
    file.write_bytes(zstandard.ZstdCompressor().compress(b"some text\n")[:-4])
    assert isinstance(run_step(Unzstd, file, folder=tmp_path / "work").outcome, Failed)
