"""A worker that dies at any call which changes the disk: every destination still gets its file, once."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mfdata import Done, Failed, File, Output, Step
from mfdata.config import Safety, StepConfig
from mfdata.outcome import Expired
from mfdata.queue.local import LocalQueue
from mfdata.recovery.recovery import Recovery
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import Trace
from mfdata.worker.worker import Worker
from mfext.environment import Home
from mfext.section import FreeSection

CONTENT = b"content of the file" * 20
OWN = Target("p", "main")
CHANGING = ("rename", "unlink", "rmdir", "mkdir", "link", "setxattr", "removexattr", "sendfile", "utime", "replace")


def to_one(_step: Step, _file: File) -> Done:
    return Done(to="a/main")


def to_two(_step: Step, _file: File) -> Done:
    return Done(to=["a/main", "b/main"])


def linked(_step: Step, _file: File) -> Done:
    return Done(to=["a/main*", "b/main*", "c/main"])


def one_output(step: Step, file: File) -> Done:
    out = step.output("made.jpg")
    out.write_bytes(file.path.read_bytes())
    return Done(out, to="a/main")


def outputs_apart(step: Step, file: File) -> Done:
    first, second = step.output("one"), step.output("two")
    first.write_bytes(file.path.read_bytes())
    second.write_bytes(file.path.read_bytes())
    return Done(Output(first, ("a/main", "b/main")), Output(second, ("c/main",)))


def to_a_path(step: Step, _file: File) -> Done:
    return Done(to=step.home.path / "archive" / "deep" / "file")


def to_path_and_step(step: Step, _file: File) -> Done:
    return Done(to=[step.home.path / "archive" / "file", "a/main"])


def ends_here(_step: Step, _file: File) -> Done:
    return Done()


def fails(_step: Step, _file: File) -> Failed:
    return Failed("no good")


def expires(_step: Step, _file: File) -> Expired:
    return Expired("deadline", "too late")


def with_large_tags(_step: Step, _file: File) -> Done:
    return Done(to="a/main", tags={"p.main.large": b"x" * 50_000, "p.main.larger": b"x" * 60_000})


Case = Callable[[Step, File], Done | Failed | Expired]

CASES: dict[Case, set[str]] = {
    to_one: {"a/main"},
    to_two: {"a/main", "b/main"},
    linked: {"a/main", "b/main", "c/main"},
    one_output: {"a/main"},
    outputs_apart: {"a/main", "b/main", "c/main"},
    to_a_path: {"archive/deep/file"},
    to_path_and_step: {"archive/file", "a/main"},
    ends_here: set(),
    expires: set(),
    fails: {"quarantine"},
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("durability", ["crash", "power"])
def test_a_death_at_any_point_loses_nothing_and_doubles_nothing(tmp_path: Path, case: Case, durability: str) -> None:
    point, died = 0, True
    while died:
        home = Home("mfdata", tmp_path / str(point))
        give(home)
        died = dies(home, case, durability, point)
        # Whoever brings things back may die at the same point, too.
        if died:
            dies(home, None, durability, point % 7)
            recover(home, durability)
            work(home, case, durability)
        assert reached(home) == sorted(CASES[case]), f"died at change {point}"
        assert left_over(home) == [], f"died at change {point}"
        point += 1
    assert point > 2, "no change was counted: the test would prove nothing"


def give(home: Home) -> None:
    places = Places(home)
    queue = places.queue(OWN)
    for target in (OWN, *(Target(name, "main") for name in "abc")):
        places.queue(target).mkdir(parents=True)
    home.log.mkdir()
    path = queue / waiting_name(b"some.png")
    path.write_bytes(CONTENT)
    write_tags(path, first_tags(new_uid(), b"some.png", b"incoming"), places.sidecars)


def dies(home: Home, case: Case | None, durability: str, point: int) -> bool:
    """Work, or recover when there is no *case*, in a child that is gone at its change number *point*."""
    child = os.fork()
    if child == 0:
        try:
            die_at(point)
            recover(home, durability) if case is None else work(home, case, durability)
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status) == 9


def die_at(point: int) -> None:
    left = [point]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return call(*args, **kwargs)

        return wrapper

    for name in CHANGING:
        setattr(os, name, counted(getattr(os, name)))


def work(home: Home, case: Case, durability: str) -> None:
    class Tried(Step):
        process = case  # type: ignore[assignment]

    step = Tried(home, "p", "main", StepConfig(), FreeSection())
    queue = LocalQueue(step.places, OWN)
    worker = Worker(step, queue, Trace(home, "step.p.main", "p", "main"), Safety(durability=durability))
    while claim := queue.claim():
        worker.work(claim)
    worker.sync()
    queue.close()


def recover(home: Home, durability: str) -> None:
    trace = Trace(home, "observer")
    Recovery(Places(home), trace, max_crashes=100, durable=durability == "power").recover()


def reached(home: Home) -> list[str]:
    """Where the content lies now, each place as often as it is there."""
    places = Places(home)
    found = []
    for path in home.path.rglob("*"):
        if path.is_file() and home.log not in path.parents and path.read_bytes() == CONTENT:
            where = str(path.relative_to(home.path))
            for name in "abc":
                if path.parent == places.queue(Target(name, "main")):
                    where = f"{name}/main"
                    tags = read_tags(path, places.sidecars)
                    assert tags["first.core.original_basename"] == b"some.png"
                    assert tags["latest.core.step_counter"] == b"1"
            if path.parent == places.quarantine(OWN):
                where = "quarantine"
            found.append(where)
    return sorted(found)


def left_over(home: Home) -> list[str]:
    places = Places(home)
    folders = [places.works, places.sidecars, places.queue(OWN)]
    found = (path for folder in folders if folder.is_dir() for path in folder.rglob("*"))
    # A folder that its worker never made public holds nothing, and goes when it is old.
    return [str(path) for path in found if path.parent != places.works and "/.new-" not in str(path)]


@pytest.mark.parametrize("durability", ["crash", "power"])
def test_tags_that_outgrow_the_attribute_are_never_lost(tmp_path: Path, durability: str) -> None:
    point, died = 0, True
    while died:
        home = Home("mfdata", tmp_path / str(point))
        give(home)
        died = dies(home, with_large_tags, durability, point)
        if died:
            recover(home, durability)
            work(home, with_large_tags, durability)
        places = Places(home)
        (path,) = places.queue(Target("a", "main")).iterdir()
        tags = read_tags(path, places.sidecars)
        assert tags["first.core.original_basename"] == b"some.png", f"died at change {point}"
        assert (len(tags["p.main.large"]), len(tags["p.main.larger"])) == (50_000, 60_000)
        point += 1
    assert point > 2, "no change was counted: the test would prove nothing"


def test_of_a_file_that_leaves_no_tags_stay_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for call in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, call, unsupported)
    home = Home("mfdata", tmp_path)
    give(home)
    work(home, to_a_path, "crash")
    assert reached(home) == ["archive/deep/file"]
    assert left_over(home) == []
