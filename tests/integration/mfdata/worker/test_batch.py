"""A batch step on a real queue: what it gets in one call, what becomes of each file, and of all when it dies."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from mfdata import BatchStep, Done, Failed, File, Output, Retry
from mfdata.batch import BatchOutcome
from mfdata.config import Safety, StepConfig
from mfdata.operations.inventory import inventory
from mfdata.outcome import Outcome
from mfdata.queue.local import LocalQueue
from mfdata.recovery.recovery import Recovery
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import Tags, first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import Trace, life
from mfdata.worker.batch_worker import BatchWorker
from mfext.environment import Home
from mfext.errors import ConfigError
from mfext.section import FreeSection
from mfext.testing import temporary_home

OWN, NEXT = Target("p", "main"), Target("next", "main")
ProcessBatch = Callable[[BatchStep, Sequence[File]], BatchOutcome]


class Bench:
    """One batch step with its queue, worked by hand."""

    def __init__(self, home: Home, process: ProcessBatch, durability: str = "crash", **config: object) -> None:
        self.home = home
        self.places = Places(self.home)
        self.calls: list[list[str]] = []
        bench = self

        class Tried(BatchStep):
            def process_batch(self, files: Sequence[File]) -> BatchOutcome:
                bench.calls.append([file.basename for file in files])
                return process(self, files)

        settings = StepConfig(**{"batch_max_wait": 0.0, **config})  # type: ignore[arg-type]
        self.step = Tried(self.home, "p", "main", settings, FreeSection())
        self.queue = LocalQueue(self.places, OWN)
        self.trace = Trace(self.home, "step.p.main", "p", "main")
        try:
            self.worker = BatchWorker(self.step, self.queue, self.trace, Safety(durability=durability))
        except ConfigError:
            self.queue.close()
            raise

    def work(self) -> None:
        while self.worker._work_next():
            pass

    def close(self) -> None:
        self.worker.let_go()
        self.queue.close()
        self.trace.close()


def offer(home: Home, *names: str, **tags: bytes) -> list[str]:
    places, uids = Places(home), []
    for target in (OWN, NEXT, *(Target(name, "main") for name in "abc")):
        places.queue(target).mkdir(parents=True, exist_ok=True)
    for name in names:
        uid = new_uid()
        Trace(home, "observer").write({"event": "accepted", "uid": uid, "name": name, "to": [str(OWN)]})
        path = home.path / "part"
        path.write_bytes(name.encode())
        write_tags(path, first_tags(uid, name.encode(), b"incoming") | tags, places.sidecars)
        path.rename(places.queue(OWN) / waiting_name(name.encode()))
        uids.append(uid)
    return uids


def files_in(home: Home, target: Target, state: str = "queue") -> dict[str, Tags]:
    """Content of the files in a queue or quarantine, and their tags."""
    folder = getattr(Places(home), state)(target)
    paths = [path for path in sorted(folder.iterdir()) if path.suffix != ".json"] if folder.is_dir() else []
    return {path.read_text(): read_tags(path, Places(home).sidecars) for path in paths}


def joined(step: BatchStep, files: Sequence[File]) -> Done:
    out = step.output("all.txt")
    out.write_text("+".join(sorted(file.path.read_text() for file in files)))
    return Done(out, to="next/main")


def recover(home: Home, durability: str = "crash", max_crashes: int = 100) -> None:
    Recovery(Places(home), Trace(home, "observer"), max_crashes=max_crashes, durable=durability == "power").recover()


Make = Callable[..., Bench]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


@pytest.fixture
def bench(home: Home) -> Iterator[Make]:
    made: list[Bench] = []

    def make(process: ProcessBatch, **config: object) -> Bench:
        made.append(Bench(home, process, **config))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def told(home: Home, uid: str) -> list[str]:
    return [event["event"] for event in life(home, uid) if event["uid"] == uid and event["event"] != "accepted"]


# ── what it gets ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_is_what_waits_up_to_its_size(home: Home, bench: Make) -> None:
    at = bench(lambda *_: None, batch_max_size=2)
    uids = offer(home, "a", "b", "c")
    at.work()
    assert [len(call) for call in at.calls] == [2, 1]
    assert [told(home, uid) for uid in uids] == [["done"]] * 3
    assert inventory(home)["balanced"]


def test_the_first_file_waits_for_others_no_longer_than_said(home: Home, bench: Make) -> None:
    at = bench(lambda *_: None, batch_max_wait=60.0)
    offer(home, "a")
    assert not at.worker._work_next()
    assert 50 < (at.worker._time_to_sleep() or 0) <= 60
    offer(home, "b")
    at.worker._due = 0.0
    assert at.worker._work_next()
    assert at.calls == [["a", "b"]]


def test_files_that_wait_for_others_are_let_go_at_the_end(home: Home, bench: Make) -> None:
    at = bench(lambda *_: None, batch_max_wait=60.0)
    offer(home, "a", "b")
    assert not at.worker._work_next()
    assert len(inventory(home)["claimed"]) == 1
    assert inventory(home)["claimed"]["p/main"] == 2
    at.worker.let_go()
    assert sorted(files_in(home, OWN)) == ["a", "b"]
    assert [path.name for path in Path(at.queue._work).iterdir()] == [".lock"]


def test_a_wait_as_long_as_the_timeout_is_refused(bench: Make) -> None:
    with pytest.raises(ConfigError, match="batch_max_wait"):
        bench(lambda *_: None, batch_max_wait=5.0, timeout=5.0)


# ── what becomes of them ───────────────────────────────────────────────────────────────────────────────────────────


def test_one_outcome_holds_for_all(home: Home, bench: Make) -> None:
    at = bench(lambda *_: Done(to="next/main", tags={"seen": b"1"}))
    offer(home, "a", "b")
    at.work()
    assert {name: tags["seen"] for name, tags in files_in(home, NEXT).items()} == {"a": b"1", "b": b"1"}


def test_a_list_has_one_outcome_for_each(home: Home, bench: Make) -> None:
    def each(step: BatchStep, files: Sequence[File]) -> BatchOutcome:
        by_name: dict[str, Outcome | None] = {
            "a": Done(to="next/main"),
            "b": Failed("no"),
            "c": Retry("later", after=100),
            "d": None,
        }
        return [by_name[file.basename] for file in files]

    at = bench(each, retry_total=1)
    uids = offer(home, "a", "b", "c", "d")
    at.work()
    assert list(files_in(home, NEXT)) == ["a"]
    assert sorted(files_in(home, OWN, "delayed")) == ["b", "c"]
    assert [told(home, uid) for uid in uids] == [["done"], ["retried"], ["retried"], ["done"]]
    assert inventory(home)["balanced"]


def test_all_files_may_go_into_one_output(home: Home, bench: Make) -> None:
    at = bench(joined)
    uids = offer(home, "a", "b", "c", same=b"1") + offer(home, "d", same=b"1", other=b"2")
    at.work()
    ((content, tags),) = files_in(home, NEXT).items()
    assert content == "a+b+c+d"
    assert tags["latest.core.original_basename"] == b"all.txt"
    assert tags["same"] == b"1"
    assert "other" not in tags
    made = tags["latest.core.uid"].decode()
    assert made.partition(".")[0] in uids
    assert [life(home, uid)[1]["into"] for uid in uids] == [[made]] * 4
    assert inventory(home)["balanced"]


def test_outputs_of_each_file_are_handed_over(home: Home, bench: Make) -> None:
    def each(step: BatchStep, files: Sequence[File]) -> BatchOutcome:
        outs = [step.output(f"{file.basename}.out") for file in files]
        for out in outs:
            out.write_text(out.name)
        return [Done(out, to="next/main") for out in outs]

    at = bench(each)
    offer(home, "a", "b", "c")
    at.work()
    assert sorted(files_in(home, NEXT)) == ["a.out", "b.out", "c.out"]
    assert [path.name for path in Path(at.queue._work).iterdir()] == [".lock"]


def test_a_batch_that_raises_is_tried_file_by_file(home: Home, bench: Make) -> None:
    def picky(step: BatchStep, files: Sequence[File]) -> Done:
        if any(file.basename == "bad" for file in files):
            raise ValueError("bad file")
        return joined(step, files)

    at = bench(picky)
    offer(home, "a", "bad", "c")
    at.work()
    assert at.calls == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]
    assert list(files_in(home, OWN, "quarantine")) == ["bad"]
    assert sorted(files_in(home, NEXT)) == ["a", "c"]
    assert inventory(home)["balanced"]


def test_a_tag_that_cannot_be_kept_fails_the_file_that_got_it(home: Home, bench: Make) -> None:
    def marking(step: BatchStep, files: Sequence[File]) -> None:
        for file in files:
            if file.basename == "bad":
                file.tags["a.b"] = "text"  # type: ignore[assignment]

    at = bench(marking)
    offer(home, "a", "bad")
    at.work()
    assert at.calls == [["a", "bad"], ["a"], ["bad"]]
    assert list(files_in(home, OWN, "quarantine")) == ["bad"]
    assert inventory(home)["balanced"]


def test_too_few_outcomes_fail_every_file(home: Home, bench: Make) -> None:
    at = bench(lambda *_: [])
    offer(home, "a", "b")
    at.work()
    assert sorted(files_in(home, OWN, "quarantine")) == ["a", "b"]


def test_a_full_disk_puts_all_back(home: Home, bench: Make) -> None:
    def full(step: BatchStep, files: Sequence[File]) -> Done:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    at = bench(full)
    offer(home, "a", "b")
    assert at.worker._work_next()
    assert sorted(files_in(home, OWN)) == ["a", "b"]
    assert at.worker.disk.pause > 0


def test_what_cannot_even_be_put_back_is_so_later(home: Home, bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    at = bench(joined, batch_max_wait=60.0)
    offer(home, "a", "b")
    assert not at.worker._work_next()
    at.worker._due = 0.0
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", _no_room)
        patch.setattr(Path, "rename", _no_room)
        assert at.worker._work_next()
        assert len(at.worker.disk.unfinished) == 2
    at.worker._try_again()
    assert sorted(files_in(home, OWN)) == ["a", "b"]
    at.worker._collect()
    at.worker._due = 0.0
    at.work()
    assert list(files_in(home, NEXT)) == ["a+b"]
    assert inventory(home)["balanced"]


def test_a_file_that_could_not_be_delivered_is_so_though_the_next_one_was(
    home: Home, bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(step: BatchStep, files: Sequence[File]) -> Done:
        if len(files) > 1:
            raise ValueError("one of them is bad")
        return joined(step, files)

    at = bench(alone)
    offer(home, "a", "b")
    rename = os.rename
    refused: list[str | Path] = []

    def no_room_once(source: str | Path, target: str | Path) -> None:
        if not refused and os.fspath(target).startswith(os.fspath(at.places.queue(NEXT))):
            refused.append(target)
            _no_room()
        rename(source, target)

    monkeypatch.setattr(os, "rename", no_room_once)
    assert at.worker._work_next()
    assert list(files_in(home, NEXT)) == ["b"]
    assert at.worker.disk.pause > 0
    at.worker._try_again()
    assert sorted(files_in(home, NEXT)) == ["a", "b"]
    assert at.worker.disk.pause == 0
    assert [path.name for path in Path(at.queue._work).iterdir()] == [".lock"]
    assert inventory(home)["balanced"]


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ── when the worker dies ───────────────────────────────────────────────────────────────────────────────────────────


def die_in_child(home: Home, process: ProcessBatch) -> None:
    child = os.fork()
    if child == 0:
        try:
            Bench(home, process).work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def poisonous(step: BatchStep, files: Sequence[File]) -> Done:
    if any(file.basename == "poison" for file in files):
        os._exit(9)
    return Done(to="next/main")


def test_only_the_file_that_kills_is_poison(home: Home) -> None:
    offer(home, "a", "poison", "c")
    for _ in range(6):
        die_in_child(home, poisonous)
        recover(home, max_crashes=2)
    assert sorted(files_in(home, NEXT)) == ["a", "c"]
    assert list(files_in(home, OWN, "quarantine")) == ["poison"]
    assert inventory(home)["balanced"]


def test_files_that_only_wait_for_others_are_not_to_blame(home: Home) -> None:
    offer(home, "a", "b")
    child = os.fork()
    if child == 0:
        Bench(home, lambda *_: None, batch_max_wait=60.0).worker._work_next()
        os._exit(9)
    os.waitpid(child, 0)
    assert inventory(home)["claimed"] == {"p/main": 2}
    recover(home, max_crashes=1)
    assert sorted(files_in(home, OWN)) == ["a", "b"]
    assert not any("latest.core.crashes" in tags for tags in files_in(home, OWN).values())


def test_no_room_for_a_mark_puts_all_back(home: Home, bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    at = bench(joined)
    offer(home, "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", _no_room)
        assert at.worker._work_next()
    assert sorted(files_in(home, OWN)) == ["a", "b"]
    assert at.worker.disk.pause > 0
    at.work()
    assert list(files_in(home, NEXT)) == ["a+b"]


def test_even_where_one_crash_is_too_many_a_batch_is_not_blamed(home: Home) -> None:
    offer(home, "a", "poison", "c")
    die_in_child(home, poisonous)
    recover(home, max_crashes=1)
    assert sorted(files_in(home, OWN)) == ["a", "c", "poison"]
    assert {tags["latest.core.crashes"] for tags in files_in(home, OWN).values()} == {b"1"}
    for _ in range(3):
        die_in_child(home, poisonous)
        recover(home, max_crashes=1)
    assert list(files_in(home, OWN, "quarantine")) == ["poison"]
    assert all("latest.core.crashes" not in tags for tags in files_in(home, NEXT).values())


def to_next(step: BatchStep, files: Sequence[File]) -> Done:
    return Done(to="next/main")


def joined_and_copied(step: BatchStep, files: Sequence[File]) -> Done:
    return Done(Output(joined(step, files).outputs[0].path, ("next/main", step.home.path / "archive" / files[0].uid)))


def each_its_own(step: BatchStep, files: Sequence[File]) -> BatchOutcome:
    outs = [step.output(file.basename) for file in files]
    for out in outs:
        out.write_text(out.name)
    return [Done(out, to="next/main") for out in outs]


def ends(step: BatchStep, files: Sequence[File]) -> None:
    return None


def contents(home: Home) -> list[str]:
    """Which of the names lie where, each as often as it does; an output stands for all that went into it."""
    found: list[str] = []
    for path in home.path.rglob("*"):
        inside = {Places(home).queue(NEXT), home.path / "archive"}
        if path.is_file() and path.parent in inside:
            found += [f"{path.parent.name}:{name}" for name in path.read_text().split("+")]
    return sorted(found)


CASES: dict[ProcessBatch, list[str]] = {
    to_next: [f"step.next.main:{name}" for name in "abc"],
    joined: [f"step.next.main:{name}" for name in "abc"],
    joined_and_copied: sorted(f"{where}:{name}" for name in "abc" for where in ("step.next.main", "archive")),
    each_its_own: [f"step.next.main:{name}" for name in "abc"],
    ends: [],
}


@pytest.mark.parametrize("durability", ["crash", "power"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_death_at_any_point_loses_nothing_and_doubles_nothing(
    tmp_path: Path, case: ProcessBatch, durability: str
) -> None:
    from tests.integration.mfdata.test_crash_points import die_at, left_over

    point, died = 0, True
    while died:
        home = temporary_home(tmp_path / str(point))
        offer(home, "a", "b", "c")
        died = _dies(die_at, point, partial(_works, home, case, durability))
        if died:
            # Whoever brings things back may die at the same point, too.
            _dies(die_at, point % 7, partial(recover, home, durability))
            recover(home, durability)
            _works(home, case, durability)
        assert contents(home) == CASES[case], f"died at change {point}"
        assert left_over(home) == [], f"died at change {point}"
        assert inventory(home)["balanced"], f"died at change {point}"
        point += 1
    assert point > 5, "no change was counted: the test would prove nothing"


def _works(home: Home, case: ProcessBatch, durability: str) -> None:
    bench = Bench(home, case, durability)
    bench.work()
    bench.close()


def _dies(die_at: Callable[[int], None], point: int, act: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            die_at(point)
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
