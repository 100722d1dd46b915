"""The step on one file; run by ``make test``."""

from pathlib import Path

from main import Archive

from mfdata import Done
from mfdata.testing import run_step


def test_a_file_goes_below_dest_dir_under_its_new_name(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    custom = {"dest_dir": str(tmp_path / "kept"), "dest_basename": "{ORIGINAL_BASENAME}"}
    result = run_step(Archive, file, custom=custom, folder=tmp_path / "work")
    assert result.outcome == Done(to=tmp_path / "kept/some.txt", if_exists="number"), result.text()
