"""The step on one file; run by ``make test``."""

from pathlib import Path

from main import Main

from mfdata.testing import run_step


def test_a_file_is_dealt_with(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    result = run_step(Main, file, folder=tmp_path / "work")
    assert result.done, result.text()
