from __future__ import annotations

from pathlib import Path

import pytest

from mfext.testing import temporary_home, wait_until


def test_waiting_gives_the_first_true_value() -> None:
    values = iter([0, "", None, "found"])
    assert wait_until(lambda: next(values)) == "found"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(TimeoutError, match=r"the file: not within 0.01 s, the last value was \[\]"):
        wait_until(list, timeout=0.01, what="the file")


def test_what_the_condition_raises_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)


def test_a_temporary_home_has_its_folders(tmp_path: Path) -> None:
    home = temporary_home(tmp_path, "mfserv")
    assert home.module == "mfserv"
    assert home.path == tmp_path / "mfserv"
    assert home.plugins.is_dir()
    assert home.run.is_dir()
