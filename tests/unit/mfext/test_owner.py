from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import MetworkError, NotAllowed
from mfext.owner import check_owner, user_name
from mfext.testing import temporary_home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def test_a_home_of_ours_may_be_used(tmp_path: Path) -> None:
    check_owner(temporary_home(tmp_path))


def test_a_home_that_can_be_made_may_be_used(tmp_path: Path) -> None:
    check_owner(Home("mfdata", tmp_path / "a/b/mfdata"))


def test_a_home_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MetworkError, match="file is not a folder"):
        check_owner(Home("mfdata", tmp_path / "file/mfdata"))


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mfdata").touch()
    with pytest.raises(MetworkError, match="expected the home of mfdata"):
        check_owner(Home("mfdata", tmp_path / "mfdata"))


@as_root
def test_the_home_of_another_user_is_refused_to_root_too(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    os.chown(home.path, 12345, -1)
    with pytest.raises(NotAllowed, match="belongs to user 12345, and you are root"):
        check_owner(home)


@not_as_root
def test_a_home_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    home = temporary_home(tmp_path)
    home.log.chmod(0o500)
    with pytest.raises(NotAllowed, match="not writable") as caught:
        check_owner(home)
    assert caught.value.where == str(home.log)


@not_as_root
def test_a_home_in_a_folder_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NotAllowed, match="Set METWORK_HOME"):
            check_owner(Home("mfdata", tmp_path / "mfdata"))
    finally:
        tmp_path.chmod(0o700)


def test_a_user_without_a_name_is_called_by_its_number() -> None:
    assert user_name(987654) == "987654"
