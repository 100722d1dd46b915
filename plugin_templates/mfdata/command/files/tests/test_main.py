"""The step on one file; run by ``make test``."""

from pathlib import Path

from main import Command

from mfdata import Failed
from mfdata.testing import run_step


def test_what_the_program_writes_is_handed_on(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    custom = {"command_template": "cp {PATH} {OUTPUT_DIR}/{BASENAME}.copy", "output_to": "other/main"}
    result = run_step(Command, file, custom=custom, folder=tmp_path / "work")
    assert result.done, result.text()
    assert result.outputs["some.txt.copy"].read_text() == "some text\n"


def test_a_program_that_fails_fails_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("some text\n")
    result = run_step(Command, file, custom={"command_template": "cat {PATH}.missing"}, folder=tmp_path / "work")
    assert isinstance(result.outcome, Failed)
