from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from mfdata import BatchStep, Done, Failed, File
from mfdata.steps.pack import Pack
from mfdata.testing import run_batch, run_step
from mfext.errors import ConfigError, UsageError


def test_files_of_one_name_are_all_in_it(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        file = tmp_path / str(number) / "some.txt"
        file.parent.mkdir()
        file.write_text(f"text {number}")
        files.append(file)
    results = run_batch(Pack, files, custom={"dest_basename": "all.tar"}, folder=tmp_path / "work")
    with tarfile.open(results[0].outputs["all.tar"]) as packed:
        texts = {member.name: packed.extractfile(member).read() for member in packed}  # type: ignore[union-attr]
    assert len(texts) == 3
    assert sorted(texts.values()) == [b"text 0", b"text 1", b"text 2"]
    assert all(name.startswith("some") and name.endswith(".txt") for name in texts)


def test_files_that_share_their_content_on_disk_are_all_whole_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    results = run_batch(Pack, [tmp_path / "a", tmp_path / "b"], custom={"dest_basename": "x"}, folder=tmp_path / "work")
    with tarfile.open(results[0].outputs["x"]) as packed:
        assert [packed.extractfile(member).read() for member in packed if member.isreg()] == [b"text"] * 2  # type: ignore[union-attr]


def test_one_file_is_a_batch_of_one(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("text")
    result = run_step(Pack, file, custom={"dest_basename": "{ORIGINAL_BASENAME}.tar"}, folder=tmp_path / "work")
    assert isinstance(result.outcome, Done)
    assert list(result.outputs) == ["some.txt.tar"]


@pytest.mark.parametrize("name", ["a/b.tar", "{NO_SUCH}.tar"])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "some.txt"
    file.write_text("text")
    with pytest.raises(ConfigError):
        run_step(Pack, file, custom={"dest_basename": name}, folder=tmp_path / "work")


class Wrong(BatchStep):
    def process_batch(self, files: Sequence[File]) -> list[Done]:
        return [Done()]


def test_too_few_outcomes_are_a_failure_of_each_file(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text("text")
    results = run_batch(Wrong, files, folder=tmp_path / "work")
    assert [type(result.outcome) for result in results] == [Failed, Failed]
    assert "1 outcomes for 2 files" in results[0].text()
    with pytest.raises(UsageError):
        run_batch(Wrong, [tmp_path / "c"])
