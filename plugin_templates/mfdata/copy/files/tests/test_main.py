"""The step on one file; run by ``make test``."""

from pathlib import Path

from main import Copy

from mfdata import Done
from mfdata.testing import run_step


def test_a_file_goes_to_every_destination(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    custom = {"dest_dirs": f"{tmp_path}/out, other/main"}
    result = run_step(Copy, file, custom=custom, folder=tmp_path / "work")
    assert result.outcome == Done(to=(tmp_path / "out/some.txt", "other/main"), if_exists="number"), result.text()
