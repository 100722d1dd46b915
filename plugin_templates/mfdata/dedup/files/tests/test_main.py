"""The step on files one after the other; run by ``make test``."""

from collections.abc import Callable
from pathlib import Path

import pytest
from main import Dedup

from mfdata.testing import Result, run_step

FIRST = b"SAFR30 LFPW 241200\r\r\nMETAR LFPG 241200Z 24010KT=\r\r\n"


@pytest.fixture
def seen(tmp_path: Path) -> Callable[..., Result]:
    def see(content: bytes, name: str = "some.txt", **custom: str) -> Result:
        file = tmp_path / "file"
        file.write_bytes(content)
        # The files that were seen stay in the folder.
        return run_step(Dedup, file, name=name, custom={"destination": "next/main", **custom}, folder=tmp_path / "work")

    return see


def test_the_first_goes_on_and_what_repeats_it_ends(seen: Callable[..., Result]) -> None:
    assert seen(b"content").outcome.to == ("next/main",)
    again = seen(b"content")
    assert again.outcome.to == ()
    assert "same content as" in again.outcome.dropped_by


def test_a_correction_is_not_a_repeat(seen: Callable[..., Result]) -> None:
    assert seen(FIRST, by="heading").outcome.to
    assert seen(FIRST.replace(b"241200\r", b"241200 CCA\r", 1), by="heading").outcome.to
    assert not seen(FIRST, by="heading").outcome.to
