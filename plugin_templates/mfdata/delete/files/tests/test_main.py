"""The step on one file; run by ``make test``."""

from pathlib import Path

from main import Delete

from mfdata import Done
from mfdata.testing import run_step


def test_a_file_ends_by_a_named_rule(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    result = run_step(Delete, file, folder=tmp_path / "work")
    assert isinstance(result.outcome, Done), result.text()
    assert result.outcome.dropped_by
