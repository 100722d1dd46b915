"""Some of the crash matrix, which ``make crash-matrix`` runs whole: the points at which most could go wrong."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.matrix.kills import at_point, of_all
from tests.matrix.module import ModuleUnderTest
from tests.matrix.worlds import module_in

MAIN, SWITCH, OBSERVER = "step.m.main", "step.switch.main", "observer"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleUnderTest]:
    with module_in(tmp_path_factory.mktemp("matrix")) as module:
        yield module


@pytest.mark.parametrize(
    ("process", "point"),
    [
        (OBSERVER, "rename incoming to waiting"),
        (OBSERVER, "rename copy to waiting"),
        (SWITCH, "rename claimed to next waiting"),
        (MAIN, "rename prepared to committed"),
        (MAIN, "rename committed entry to next waiting"),
        (MAIN, "rename claimed to delayed"),
        (MAIN, "unlink claimed"),
    ],
)
def test_a_death_just_before_a_commit_point_loses_and_doubles_nothing(
    module: ModuleUnderTest, process: str, point: str
) -> None:
    assert at_point(module, process, point).result == "balanced"


def test_a_death_while_the_dead_are_recovered_loses_and_doubles_nothing(module: ModuleUnderTest) -> None:
    assert at_point(module, MAIN, "trace recovered", usual=False).is_good


@pytest.mark.parametrize("point", ["trace done", "rename prepared to committed"])
def test_a_disk_that_is_full_at_a_commit_point_loses_and_doubles_nothing(module: ModuleUnderTest, point: str) -> None:
    assert at_point(module, MAIN, point, errno.ENOSPC).result == "balanced"


def test_a_death_of_everything_at_once_loses_and_doubles_nothing(module: ModuleUnderTest) -> None:
    assert of_all(module, 1).result == "balanced"
