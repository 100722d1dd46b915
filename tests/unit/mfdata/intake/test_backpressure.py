"""Why intake pauses, and when it goes on."""

from __future__ import annotations

import pytest

from mfdata.config import Pressure
from mfdata.intake.backpressure import reason_to_pause
from mfext.disk import Disk

GIGA, MEGA = 10**9, 10**6
LARGE = 100 * GIGA
PLENTY = Disk(50 * GIGA, LARGE, 10**6, 10**7)


@pytest.mark.parametrize(
    ("waiting", "was", "pauses"),
    [(100, False, False), (101, False, True), (81, True, True), (80, True, False), (0, True, False)],
)
def test_it_pauses_above_max_waiting_and_goes_on_at_four_fifths(waiting: int, was: bool, pauses: bool) -> None:
    assert bool(reason_to_pause(Pressure(max_waiting=100), waiting, PLENTY, was=was)) is pauses


@pytest.mark.parametrize(("waiting", "pauses"), [(31, True), (30, False)])
def test_it_goes_on_at_resume_waiting(waiting: int, pauses: bool) -> None:
    settings = Pressure(max_waiting=100, resume_waiting=30)
    assert bool(reason_to_pause(settings, waiting, PLENTY, was=True)) is pauses


def test_a_low_mark_above_the_high_one_is_the_high_one() -> None:
    assert reason_to_pause(Pressure(max_waiting=10, resume_waiting=1000), 11, PLENTY, was=True)


def test_by_default_any_number_may_wait() -> None:
    assert reason_to_pause(Pressure(), 10**9, PLENTY, was=False) == ""


@pytest.mark.parametrize(
    ("free", "size", "was", "pauses"),
    [
        (200 * MEGA, LARGE, False, False),
        (199 * MEGA, LARGE, False, True),
        (240 * MEGA, LARGE, True, True),
        (250 * MEGA, LARGE, True, False),
        # One per cent of a small disk is less.
        (MEGA, 50 * MEGA, False, False),
        (MEGA // 2 - 1, 50 * MEGA, False, True),
    ],
)
def test_it_pauses_when_little_disk_is_free(free: int, size: int, was: bool, pauses: bool) -> None:
    assert bool(reason_to_pause(Pressure(), 0, Disk(free, size, 10**6, 10**7), was=was)) is pauses


@pytest.mark.parametrize(("free", "pauses"), [(GIGA - 1, True), (GIGA, False)])
def test_it_goes_on_at_resume_free(free: int, pauses: bool) -> None:
    assert bool(reason_to_pause(Pressure(resume_free=GIGA), 0, Disk(free, LARGE), was=True)) is pauses


@pytest.mark.parametrize(
    ("free_files", "files", "pauses"), [(9_999, 10**7, True), (10_000, 10**7, False), (9, 10**3, True), (0, 0, False)]
)
def test_it_pauses_when_few_inodes_are_free(free_files: int, files: int, pauses: bool) -> None:
    disk = Disk(50 * GIGA, LARGE, free_files, files)
    assert ("inodes" in reason_to_pause(Pressure(), 0, disk, was=False)) is pauses


@pytest.mark.parametrize("was", [False, True])
def test_the_disk_may_be_left_out(was: bool) -> None:
    assert reason_to_pause(Pressure(min_free_percent=0), 0, Disk(0, LARGE, 0, 10**6), was=was) == ""


def test_the_reason_has_both_figures() -> None:
    assert reason_to_pause(Pressure(max_waiting=5), 7, PLENTY, was=False) == "7 files wait (max_waiting = 5)"
    assert "100 bytes are free" in reason_to_pause(Pressure(), 0, Disk(100, LARGE), was=False)
