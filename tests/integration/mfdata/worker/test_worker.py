"""The worker on a real queue: what each answer of a step does to the file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mfdata import Done, Failed, File, Retry, Step
from mfdata.config import Safety, StepConfig
from mfdata.operations.inventory import inventory
from mfdata.operations.stalled import held_up
from mfdata.outcome import Hold, Outcome
from mfdata.quarantine import quarantine
from mfdata.queue.local import LocalQueue
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import Tags, first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import Trace, life
from mfdata.worker.worker import Worker
from mfext.mainloop import Mainloop
from mfext.section import FreeSection
from mfext.testing import temporary_home

OWN = Target("p", "main")
Process = Callable[[File], Outcome | None]
#: The uid of a file that was accepted in the year 2023.
OLD = b"060a24181e4000" + b"a" * 12


class Bench:
    """One step with its queue, worked by hand."""

    def __init__(self, folder: Path, process: Process, config: StepConfig, safety: Safety) -> None:
        self.home = temporary_home(folder)
        #: Of the files that are offered.
        self.priority = 5
        self.places = Places(self.home)
        for name in ("next", "other", *"abc"):
            self.places.queue(Target(name, "main")).mkdir(parents=True)
        self.step = Step(self.home, "p", "main", config, FreeSection())
        self.step.process = process  # type: ignore[assignment,method-assign]
        self.queue = LocalQueue(self.places, OWN)
        self.trace = Trace(self.home, "step.p.main", "p", "main")
        self.worker = Worker(self.step, self.queue, self.trace, safety)

    def offer(self, name: bytes = b"some.png", **tags: bytes) -> str:
        path = self.places.home.path / "part"
        path.write_bytes(b"content")
        uid = new_uid()
        write_tags(path, first_tags(uid, name, b"incoming") | tags, self.places.sidecars)
        path.rename(self.places.queue(OWN) / waiting_name(name, self.priority))
        return uid

    def work(self) -> None:
        claim = self.queue.claim()
        assert claim
        self.worker.work(claim)

    def waiting(self, target: Target = OWN) -> list[Path]:
        folder = self.places.queue(target)
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def tags(self, path: Path) -> Tags:
        return read_tags(path, self.places.sidecars)

    def told(self, uid: str) -> list[str]:
        return [event["event"] for event in life(self.home, uid)]


Make = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(process: Process, safety: Safety | None = None, **config: object) -> Bench:
        made.append(Bench(tmp_path, process, StepConfig(**config), safety or Safety()))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.queue.close()
        one.trace.close()


def test_a_file_with_nothing_more_to_do_ends_with_a_trace(bench: Make) -> None:
    at = bench(lambda _: None)
    uid = at.offer()
    at.work()
    assert at.told(uid) == ["done"]
    assert at.waiting() == []


def test_tags_travel_with_the_file_and_tell_its_way(bench: Make) -> None:
    at = bench(lambda _: Done(to="next/main", tags={"found": b"it"}))
    at.offer()
    at.work()
    (path,) = at.waiting(Target("next", "main"))
    tags = at.tags(path)
    assert tags["latest.core.step_counter"] == b"1"
    assert "1.p.main.enter_step" in tags
    assert tags["found"] == b"it"


def test_outputs_have_the_same_uid_at_every_try(bench: Make) -> None:
    def make(file: File) -> Done:
        out = at.step.output("made.jpg")
        out.write_bytes(b"made")
        return Done(out, to="next/main")

    at = bench(make)
    uid = at.offer()
    at.work()
    (path,) = at.waiting(Target("next", "main"))
    file = File(path, at.tags(path))
    assert file.uid == f"{uid}.1"
    assert file.basename == "made.jpg"
    assert at.told(uid) == ["done", "made"]


def test_a_destination_named_twice_gets_the_file_once(bench: Make) -> None:
    at = bench(lambda _: Done(to=["next/main", "next/main*"]))
    at.offer()
    at.work()
    assert len(at.waiting(Target("next", "main"))) == 1


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_an_exception_quarantines_with_its_stack(bench: Make, kind: type[BaseException]) -> None:
    def fail(_: File) -> None:
        raise kind("not a\npicture")

    at = bench(fail)
    uid = at.offer()
    at.work()
    (kept,) = quarantine.kept_files(at.places)
    assert kept.reason["reason"] == f"{kind.__name__}: not a picture"
    assert "in fail" in kept.reason["traceback"]
    assert at.told(uid) == ["quarantined"]


@pytest.mark.parametrize(
    "answer", [Failed("no"), Retry("later"), Hold("not now", 1.0), Done(to="next/main"), ValueError("no")], ids=repr
)
def test_a_file_that_its_step_removed_ends_by_that_name(bench: Make, answer: Outcome | Exception) -> None:
    def remove(file: File) -> Outcome:
        file.path.unlink()
        if isinstance(answer, Exception):
            raise answer
        return answer

    at = bench(remove, retry_total=3)
    uid = at.offer()
    at.trace.write({"event": "accepted", "uid": uid, "name": "some.png"})
    at.work()
    _, event = life(at.home, uid)
    assert (event["event"], event["rule"]) == ("dropped", "the step removed its file")
    found = inventory(at.home)
    assert found["on_disk"] == 0
    assert found["missing"] == []
    assert list(quarantine.kept_files(at.places)) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (True, "the step returned True"),
        (Done(to="/tmp/some/file"), '"/tmp/some/file" is no step'),
        (Done(to="nobody/main"), 'there is no step "nobody/main"'),
        (Done(to=Path("relative/file")), '"relative/file" is not an absolute path'),
        (Done(to=Path("/tmp")), '"/tmp" is a folder'),
        (Done(to=Path("/tmp") / ("n" * 256)), "longer than 255 bytes"),
        (Done(Path("/nowhere/at/all"), to="main"), 'the output "all" was not written'),
        (Done(Path(__file__)), "it is not said where the output"),
    ],
)
def test_an_answer_that_cannot_be_done_is_a_failure_of_the_step(bench: Make, answer: Outcome, reason: str) -> None:
    at = bench(lambda _: answer)
    uid = at.offer()
    at.work()
    (kept,) = quarantine.kept_files(at.places)
    assert reason in kept.reason["reason"]
    assert at.told(uid) == ["quarantined"]
    assert Path(__file__).exists()


def test_a_step_without_memory_ends_its_process_and_keeps_no_file(bench: Make) -> None:
    def leak(_: File) -> None:
        raise MemoryError

    at = bench(leak)
    uid = at.offer()
    with pytest.raises(MemoryError):
        at.work()
    assert at.told(uid) == []  # recovery gives it back


def test_a_failed_file_is_tried_again_later_and_then_kept(bench: Make) -> None:
    at = bench(lambda _: Failed("no"), retry_total=1, retry_min_wait=0)
    uid = at.offer()
    at.work()
    (delayed,) = at.places.delayed(OWN).iterdir()
    assert at.tags(delayed)["latest.core.attempt"] == b"1"
    assert at.tags(delayed)["latest.core.step_counter"] == b"0"
    delayed.rename(at.places.queue(OWN) / delayed.name.partition("-")[2])
    at.work()
    (kept,) = quarantine.kept_files(at.places)
    assert kept.reason["reason"] == "no (after 2 tries)"
    assert at.told(uid) == ["retried", "quarantined"]


def test_a_try_that_works_forgets_the_failed_ones(bench: Make) -> None:
    at = bench(lambda _: Done(to="next/main"))
    at.offer(**{"latest.core.attempt": b"3", "latest.core.crashes": b"2"})
    at.work()
    (path,) = at.waiting(Target("next", "main"))
    assert not {"latest.core.attempt", "latest.core.crashes"} & at.tags(path).keys()


def test_a_retry_may_say_when(bench: Make) -> None:
    at = bench(lambda _: Retry("server away", after=100), retry_total=5)
    uid = at.offer()
    at.work()
    (event,) = life(at.home, uid)
    assert 99 < event["due"] - event["t"] < 101


@pytest.mark.parametrize(("policy", "expected"), [("delete", "dropped"), ("move:other/main", "failed")])
def test_the_failure_policy_is_followed(bench: Make, policy: str, expected: str) -> None:
    at = bench(lambda _: Failed("no"), failure_policy=policy)
    uid = at.offer()
    at.work()
    assert at.told(uid) == [expected]
    assert len(at.waiting(Target("other", "main"))) == (1 if expected == "failed" else 0)


def test_a_file_that_runs_in_a_circle_is_kept(bench: Make) -> None:
    at = bench(lambda _: Done(to="main"), Safety(max_steps=3))
    at.offer()
    for _ in range(4):
        at.work()
    (kept,) = quarantine.kept_files(at.places)
    assert kept.kind == "loop"


def test_a_full_disk_lets_the_file_wait_and_counts_against_nobody(bench: Make) -> None:
    answers: list[Exception | Done] = [OSError(errno.ENOSPC, "No space left on device"), Done(to="next/main")]

    def process(_: File) -> Done:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    at = bench(process)
    uid = at.offer()
    at.work()
    assert len(at.waiting()) == 1
    assert at.told(uid) == []
    at.work()
    assert len(at.waiting(Target("next", "main"))) == 1


def test_a_child_that_a_step_forks_and_forgets_does_not_work_on(bench: Make) -> None:
    children: list[int] = []
    own = os.getpid()

    def process(_: File) -> Done:
        children.append(os.fork())
        return Done(to="next/main")

    at = bench(process)
    uid = at.offer()
    at.work()
    if os.getpid() != own:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 1
    assert at.told(uid) == ["done"]
    assert len(at.waiting(Target("next", "main"))) == 1


@pytest.mark.parametrize(("name", "value"), [("a.b", "text"), ("a.b", 5), (b"a.b", b"x")])
@pytest.mark.parametrize("is_raising", [False, True])
def test_a_tag_that_cannot_be_kept_is_a_failure_of_the_step_not_the_death_of_its_process(
    bench: Make, name: str, value: bytes, is_raising: bool
) -> None:
    def process(file: File) -> Done:
        file.tags[name] = value
        if is_raising:
            raise ValueError("no")
        return Done(to="next/main")

    at = bench(process)
    at.offer()
    at.work()
    (kept,) = quarantine.kept_files(at.places)
    assert kept.why == f"tags are bytes by name; the step set {name!r} to {value!r}"
    assert name not in at.tags(kept.path)
    assert at.waiting(Target("next", "main")) == []


def test_who_cannot_hand_over_says_so_until_it_can(bench: Make, tmp_path: Path) -> None:
    places = [Path("/proc/nowhere/x"), tmp_path / "there"]
    at = bench(lambda _: Done(to=places[0]))
    with Mainloop(at.home, "step.p.main") as loop:
        at.step._say = loop.ready
        at.offer()
        at.work()
        (row,) = held_up(at.home)
        assert (row["process"], row["pid"]) == ("step.p.main", os.getpid())
        assert "/proc/nowhere" in row["reason"]
        places.pop(0)
        at.work()
        assert held_up(at.home) == []
    assert (tmp_path / "there").read_bytes() == b"content"


def test_more_tags_than_later_steps_can_bear_are_a_failure_of_the_step(bench: Make) -> None:
    def grow(file: File) -> None:
        file.tags |= {f"huge{number}": b"a" * 60_000 for number in range(20)} | {"small": b"b"}

    at = bench(grow)
    at.offer()
    at.work()
    (kept,) = quarantine.kept_files(at.places)
    assert "the largest is 'huge10'" in kept.why
    assert at.tags(kept.path)["small"] == b"b"
    assert 10 < len(at.tags(kept.path)) < 25


def test_a_hand_over_that_is_refused_is_taken_back_in_the_trace_and_in_the_tags(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = bench(lambda _: Done(to="next/main"))
    uid = at.offer()
    rename = os.rename

    def full(source: object, target: object) -> None:
        if "/step.next.main/" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", full)
    at.work()
    (path,) = at.waiting()
    assert at.tags(path)["latest.core.step_counter"] == b"0"
    assert at.told(uid) == ["done", "recovered"]
    assert "waits again: OSError: [Errno 28] No space left on device" in str(life(at.home, uid)[-1]["reason"])
    monkeypatch.setattr(os, "rename", rename)
    at.work()
    assert len(at.waiting(Target("next", "main"))) == 1
    assert at.told(uid) == ["done", "recovered", "done"]


def test_a_file_is_kept_in_hand_as_long_as_nothing_can_be_told_of_it(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = bench(lambda _: Done(to="next/main"))
    at.offer()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(at.trace, "write", full)
        at.work()
        at.worker._try_again()
    assert at.waiting() == []
    at.worker._try_again()
    assert len(at.waiting()) == 1


def test_a_committed_file_goes_forward_when_the_disk_has_room_again(
    bench: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = bench(lambda _: Done(to=[tmp_path / "archive" / "file", "next/main"]))
    at.offer()
    rename = os.rename

    def full(source: object, target: object) -> None:
        if "/archive/" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", full)
    at.work()
    assert at.waiting() == []
    assert at.waiting(Target("next", "main")) == []
    monkeypatch.setattr(os, "rename", rename)
    at.worker._try_again()
    assert (tmp_path / "archive" / "file").read_bytes() == b"content"
    assert len(at.waiting(Target("next", "main"))) == 1


def test_a_file_goes_on_with_the_priority_that_it_has(bench: Make) -> None:
    at = bench(lambda _: Done(to=["next/main", "other/main"]))
    at.priority = 2
    at.offer()
    at.work()
    assert [at.waiting(Target(name, "main"))[0].name[0] for name in ("next", "other")] == ["2", "2"]


@pytest.mark.parametrize("link", ["", "*"])
def test_an_outcome_may_say_the_priority_in_each_queue(bench: Make, link: str) -> None:
    to = [f"{name}/main{link}" for name in ("a", "b", "c")]
    at = bench(lambda _: Done(to=to, priorities={"a/main": 0, "b/main": 9}))
    at.offer()
    at.work()
    assert [at.waiting(Target(name, "main"))[0].name[0] for name in "abc"] == ["0", "9", "5"]


def test_a_diverted_or_delayed_file_keeps_its_priority(bench: Make) -> None:
    at = bench(lambda _: Failed("no"), failure_policy="move:other/main", retry_total=1, retry_min_wait=0)
    at.priority = 1
    at.offer()
    at.work()
    (delayed,) = at.places.delayed(OWN).iterdir()
    delayed.rename(at.places.queue(OWN) / delayed.name.partition("-")[2])
    at.work()
    assert at.waiting(Target("other", "main"))[0].name[0] == "1"


def test_a_try_that_does_not_count_leaves_the_number_of_tries_as_it_was(bench: Make) -> None:
    at = bench(lambda _: Retry("server away", after=100, counts=False), retry_total=1)
    uid = at.offer(**{"latest.core.attempt": b"1"})
    at.work()
    (delayed,) = at.places.delayed(OWN).iterdir()
    assert at.tags(delayed)["latest.core.attempt"] == b"1"
    assert at.told(uid) == ["retried"]


def test_a_step_that_holds_gets_no_file_for_a_while_and_then_the_same_one(bench: Make) -> None:
    answers: list[Outcome] = [Hold("server away", 0.1), Done(), Done()]
    seen: list[str] = []

    def process(file: File) -> Outcome:
        seen.append(file.uid)
        return answers.pop(0)

    at = bench(process)
    first, second = at.offer(), at.offer()
    names = [path.name for path in at.waiting()]
    waits: list[float] = []

    class Counts(Mainloop):
        """Is told to stop at the first wait for a new file."""

        def wait(self, *fds: int, timeout: float | None = None) -> set[int]:
            self.stopping = bool(fds)
            if not waits:
                assert [path.name for path in at.waiting()] == names
            waits.append(timeout or 0.0)
            return super().wait(timeout=timeout if timeout is not None else 0)

    with Counts(at.home, "") as loop:
        at.worker.run(loop)
    assert 0 < waits[0] <= 0.1
    assert seen == [first, first, second]
    assert at.told(first) == ["held", "done"]


def test_a_held_worker_drains_at_once(bench: Make) -> None:
    at = bench(lambda _: Hold("server away", 100))
    at.offer()
    at.work()
    with Stops(at.home, "step.p.main") as loop:
        loop.draining = True
        at.worker.run(loop)
        (facts,) = (at.home.run / "ready" / "step.p.main").iterdir()
        assert json.loads(facts.read_bytes())["drained"] is True
    assert len(at.waiting()) == 1


def test_a_file_that_came_too_late_is_kept_and_the_reason_names_the_deadline(bench: Make) -> None:
    at = bench(lambda _: Done(to="next/main"), deadline=60.0)
    fresh, late = at.offer(), at.offer(**{"latest.core.uid": OLD})
    at.work()
    at.work()
    assert len(at.waiting(Target("next", "main"))) == 1
    (kept,) = quarantine.kept_files(at.places)
    assert (kept.kind, kept.uid) == ("expired", OLD.decode())
    assert str(kept.reason["reason"]).startswith("deadline = 60 s of p/main: ")
    assert late != fresh
    assert at.told(OLD.decode()) == ["quarantined"]
    quarantine.put_back(at.places, kept, at.trace)
    at.work()
    assert len(at.waiting(Target("next", "main"))) == 2


def test_a_file_that_came_too_late_may_end_with_a_line(bench: Make) -> None:
    at = bench(lambda _: Done(to="next/main"), deadline=60.0, deadline_policy="drop")
    at.offer(**{"latest.core.uid": OLD})
    at.work()
    (event,) = life(at.home, OLD.decode())
    assert (event["event"], event["rule"]) == ("expired", "deadline = 60 s of p/main")
    assert at.waiting() == []
    assert list(quarantine.kept_files(at.places)) == []


class Stops(Mainloop):
    """Is told to drain, and to stop at the first wait."""

    def wait(self, *_fds: int, timeout: float | None = None) -> set[int]:
        self.stopping = True
        return set()


def test_a_draining_worker_takes_nothing_more(bench: Make) -> None:
    at = bench(lambda _: None)
    at.offer()
    with Stops(at.home, "step.p.main") as loop:
        loop.draining = True
        at.worker.run(loop)
        (facts,) = (at.home.run / "ready" / "step.p.main").iterdir()
        assert json.loads(facts.read_bytes())["drained"] is True
    assert len(at.waiting()) == 1


def test_an_old_worker_leaves_between_two_files(bench: Make) -> None:
    at = bench(lambda _: None, max_age=0.001)
    at.offer()
    with Mainloop(at.home, "") as loop:
        loop.wait(timeout=0.01)
        at.worker.run(loop)
    assert len(at.waiting()) == 1
