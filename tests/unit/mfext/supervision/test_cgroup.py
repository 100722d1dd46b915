"""Cgroups, in folders that look like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfext.supervision.cgroup import Cgroups, Unforced, own_cgroup


@pytest.fixture
def delegated(tmp_path: Path) -> Path:
    """A cgroup with two processes, as systemd makes one for a unit."""
    folder = tmp_path / "system.slice" / "metwork-mfdata.service"
    folder.mkdir(parents=True)
    for name, text in {"controllers": "cpu memory pids", "procs": "11\n12\n", "subtree_control": ""}.items():
        (folder / f"cgroup.{name}").write_text(text)
    return folder


def test_limits_are_written_where_the_kernel_reads_them(delegated: Path) -> None:
    cgroups = Cgroups(delegated)
    made = cgroups.prepare("step.a.main", {"memory_max": 1_000_000, "cpu_max": 0.5, "cpu_weight": 20, "tasks_max": 9})
    assert made == delegated / "metwork.step.a.main"
    assert {path.name: path.read_text() for path in made.iterdir()} == {
        "memory.max": "1000000",
        "cpu.max": "50000 100000",
        "cpu.weight": "20",
        "pids.max": "9",
    }
    assert (delegated / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_who_was_there_before_moves_to_a_leaf(delegated: Path) -> None:
    Cgroups(delegated).prepare("step.a.main", {"memory_max": 1_000_000})
    # Each pid is written by itself, as the kernel wants; this file keeps the last.
    assert (delegated / "metwork.main" / "cgroup.procs").read_text() == "12"


def test_a_limit_that_is_no_longer_declared_is_lifted(delegated: Path) -> None:
    cgroups = Cgroups(delegated)
    cgroups.prepare("step.a.main", {"memory_max": 1_000_000, "cpu_weight": 20})
    made = cgroups.prepare("step.a.main", {"tasks_max": 9})
    assert ((made / "memory.max").read_text(), (made / "cpu.weight").read_text()) == ("max", "100")


def test_a_controller_that_is_not_there_is_named(delegated: Path) -> None:
    (delegated / "cgroup.controllers").write_text("memory")
    with pytest.raises(Unforced, match="the controller cpu is not delegated"):
        Cgroups(delegated).prepare("step.a.main", {"cpu_max": 1})


def test_what_the_kernel_refuses_is_told_with_its_file(delegated: Path) -> None:
    (delegated / "cgroup.subtree_control").unlink()
    (delegated / "cgroup.subtree_control").mkdir()
    with pytest.raises(Unforced, match=r"cgroup\.subtree_control: Is a directory"):
        Cgroups(delegated).prepare("step.a.main", {"cpu_max": 1})


def test_a_cgroup_ends_with_its_process_and_all_that_it_started(delegated: Path) -> None:
    cgroups = Cgroups(delegated)
    made = cgroups.prepare("step.a.main", {"memory_max": 1})
    for path in made.iterdir():
        path.unlink()  # the kernel's do not count
    cgroups.remove("step.a.main")
    assert (made / "cgroup.kill").read_text() == "1"


def test_what_the_kernel_killed_for_memory_is_told_once(delegated: Path) -> None:
    cgroups = Cgroups(delegated)
    events = cgroups.prepare("step.a.main", {"memory_max": 1}) / "memory.events"
    told = []
    for text in ("low 0\noom_kill 0\n", "low 0\noom_kill 2\n", "low 0\noom_kill 2\n"):
        events.write_text(text)
        told.append(cgroups.has_killed("step.a.main"))
    assert told == [False, True, False]
    assert not cgroups.has_killed("step.without.limits")


@pytest.mark.parametrize(
    "line",
    ["0::/system.slice/metwork-mfdata.service", "4:memory:/x\n0::/system.slice/metwork-mfdata.service/metwork.main"],
)
def test_the_cgroup_of_a_unit_is_found_again_by_a_successor(tmp_path: Path, delegated: Path, line: str) -> None:
    own = tmp_path / "own"
    own.write_text(f"{line}\n")
    if not os.geteuid():
        os.setxattr(delegated, "user.delegate", b"1")
    assert own_cgroup(tmp_path, own) == delegated


@pytest.mark.parametrize("why", ["version 1", "not ours", "no controllers"])
def test_without_a_delegated_cgroup_there_is_none(tmp_path: Path, delegated: Path, why: str) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/x\n" if why == "version 1" else "0::/system.slice/metwork-mfdata.service\n")
    if why == "not ours":  # root may write, but systemd has not said that it is delegated
        (delegated / "cgroup.procs").chmod(0o444)
    if why == "no controllers":
        (delegated / "cgroup.controllers").unlink()
    assert own_cgroup(tmp_path, own) is None
