"""The step on some files; run by ``make test``."""

import tarfile
from pathlib import Path

from main import Pack

from mfdata.testing import run_batch


def test_files_are_packed_together_each_under_its_name(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("some.txt", "other.txt")]
    for file in files:
        file.write_text(f"text of {file.name}\n")
    results = run_batch(Pack, files, custom={"dest_basename": "all.tar"}, folder=tmp_path / "work")
    assert all(result.done for result in results), results[0].text()
    with tarfile.open(results[0].outputs["all.tar"]) as packed:
        assert packed.getnames() == ["some.txt", "other.txt"]
