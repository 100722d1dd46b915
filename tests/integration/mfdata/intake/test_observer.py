"""The observer as a process: with real inotify, real signals, real deaths."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfdata.config import StepConfig
from mfdata.module import MODULE
from mfdata.operations.inventory import inventory
from mfdata.queue.worker_folder import WorkerFolder
from mfdata.storage.names import waiting_name
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import first_tags, new_uid, read_tags, write_tags
from mfdata.storage.trace import events
from mfext.environment import Home, child_variables
from mfext.lifecycle.last_good import remember
from mfext.mainloop import ready_file
from mfext.plugin.manifest import load_plugin
from mfext.testing import temporary_home, wait_until

SWITCH, OTHER = Target("switch", "main"), Target("other", "main")


class Observer:
    """The process, running for one home."""

    def __init__(self, home: Home, config: str = "") -> None:
        self.home = home
        (home.config / "config.ini").write_text(config)
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        variables = child_variables(self.home) | {"METWORK_PROCESS": "observer"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mfdata.intake.observer"], env=variables, cwd=self.home.path
        )
        wait_until(self.is_ready, what="the observer is ready")
        return self.process

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the observer has ended"
        return ready_file(self.home, "observer", self.process.pid).exists()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def log(self) -> list[dict[str, Any]]:
        file = self.home.log / "observer.log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def said(self, text: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if text in line["text"]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


@pytest.fixture
def observer(home: Home) -> Iterator[Observer]:
    running = Observer(home)
    yield running
    running.kill()


@pytest.fixture
def incoming(home: Home) -> Path:
    folder = Places(home).incoming / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def waiting(home: Home, target: Target = SWITCH) -> list[str]:
    """Names that the waiting files came in with, in the order of the queue."""
    places = Places(home)
    queue = places.queue(target)
    found = sorted(path for path in queue.iterdir() if not path.name.startswith(".")) if queue.is_dir() else []
    return [os.fsdecode(read_tags(path, places.sidecars)["first.core.original_basename"]) for path in found]


def test_it_takes_files_as_they_are_closed_or_renamed_in(home: Home, observer: Observer, incoming: Path) -> None:
    (incoming / "written").write_bytes(b"content")
    (incoming / "unfinished.tmp").write_bytes(b"content")
    (incoming / "renamed.tmp").write_bytes(b"content")
    (incoming / "renamed.tmp").rename(incoming / "renamed")
    wait_until(lambda: sorted(waiting(home)) == ["renamed", "written"], what="both files wait")
    assert [path.name for path in incoming.iterdir()] == ["unfinished.tmp"]


def test_a_file_whose_writer_pauses_is_taken_when_he_is_done(home: Home, observer: Observer, incoming: Path) -> None:
    with (incoming / "slow").open("wb", buffering=0) as writer:
        writer.write(b"first half")
        (incoming / "other").write_bytes(b"content")
        wait_until(lambda: waiting(home) == ["other"], what="the other file waits")
        assert (incoming / "slow").exists()
        writer.write(b", second half")
    wait_until(lambda: waiting(home) == ["other", "slow"], what="the slow file waits")
    (slow,) = (path for path in Places(home).queue(SWITCH).iterdir() if path.name.endswith("slow"))
    assert slow.read_bytes() == b"first half, second half"


def test_what_came_while_it_was_away_is_taken_oldest_first(home: Home, incoming: Path) -> None:
    names = [f"{number:03d}" for number in range(300)]
    for name in reversed(names):
        (incoming / name).write_bytes(b"content")
        os.utime(incoming / name, (int(name), int(name)))
    observer = Observer(home)
    wait_until(lambda: waiting(home) == names, what="all files wait")
    observer.kill()


def test_a_burst_that_overflows_the_kernels_queue_loses_nothing(home: Home, observer: Observer, incoming: Path) -> None:
    count = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) + 500
    if count > 20_000:
        pytest.skip("this machine's queue of events is very long")
    queue = Places(home).queue(SWITCH)
    observer.process.send_signal(signal.SIGSTOP)
    for number in range(count):
        (incoming / str(number)).touch()
    observer.process.send_signal(signal.SIGCONT)
    wait_until(queue.is_dir, what="the first file waits")
    wait_until(lambda: len(os.listdir(queue)) == count, what="all files wait")  # noqa: PTH208
    assert observer.said("dropped events")


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_directory_that_is_made_again_is_watched_again(
    home: Home, observer: Observer, incoming: Path, how: str
) -> None:
    incoming.rmdir() if how == "removed" else incoming.rename(home.path / "elsewhere")
    incoming.mkdir()
    (incoming / "first").write_bytes(b"content")
    wait_until(lambda: waiting(home) == ["first"], what="the first file waits")
    (incoming / "second").write_bytes(b"content")
    wait_until(lambda: waiting(home) == ["first", "second"], what="the second file waits")
    if how == "moved":
        (home.path / "elsewhere" / "third").write_bytes(b"content")
        (incoming / "fourth").write_bytes(b"content")
        wait_until(lambda: waiting(home)[2:] == ["fourth"], what="the fourth file waits")


def test_it_says_once_what_it_leaves_alone(home: Home, incoming: Path) -> None:
    (incoming / "link").symlink_to("/etc/hostname")
    observer = Observer(home, "[incoming]\nrescan_interval = 1\n")
    (incoming / "folder").mkdir()
    (home.path / "folder").mkdir()
    (home.path / "folder").rename(incoming / "moved")
    wait_until(lambda: len(observer.said("left alone")) == 3, what="all three are told")
    (home.path / "file").touch()
    (incoming / "linked").hardlink_to(home.path / "file")
    wait_until(lambda: waiting(home), what="there was one more rescan")
    observer.kill()
    told = {Path(line["path"]).name: line["reason"] for line in observer.said("left alone")}
    assert told == {"link": "it is a symbolic link", "folder": "it is a directory", "moved": "it is a directory"}
    assert len(observer.said("left alone")) == 3
    # What stands for the copied file may still be there: its observer was killed.
    left = sorted(path.name for path in incoming.iterdir() if not path.name.startswith("."))
    assert left == ["folder", "link", "moved"]


def test_what_no_event_tells_of_is_found_by_listing(home: Home, incoming: Path) -> None:
    observer = Observer(home, "[incoming]\nrescan_interval = 1\n")
    (home.path / "file").write_bytes(b"content")
    (incoming / "linked").hardlink_to(home.path / "file")
    wait_until(lambda: waiting(home) == ["linked"], what="the linked file waits")
    observer.kill()


def test_any_number_of_directories_in_any_place(home: Home, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    config = f"[incoming]\ndirectories = first:second/deep:{tmp_path / 'outside'}\ndestination = other/main\n"
    observer = Observer(home, config)
    for folder in (Places(home).incoming / "first", Places(home).incoming / "second" / "deep", tmp_path / "outside"):
        (folder / f"in_{folder.name}").write_bytes(b"content")
    wait_until(lambda: len(waiting(home, OTHER)) == 3, what="all three wait")
    observer.kill()


def test_a_step_may_listen_to_a_directory_of_its_own(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.ini").write_text("[general]\nname = other\n[step_main]\nlistened_directories = {{AUTO}}:own\n")
    remember(home, [load_plugin(folder, MODULE, home)], [])
    observer = Observer(home)
    (Places(home).incoming / "own" / "file").write_bytes(b"content")
    wait_until(lambda: waiting(home, OTHER) == ["file"], what="the file waits for the step")
    observer.kill()


def test_kills_while_files_flow_lose_and_double_nothing(home: Home, observer: Observer, incoming: Path) -> None:
    count = 0
    for _ in range(8):
        for _ in range(100):
            (incoming / ".part").write_bytes(b"content")
            (incoming / ".part").rename(incoming / str(count))
            count += 1
        observer.kill()
        observer.start()
    wait_until(lambda: sum(1 for _ in incoming.iterdir()) == 0, what="all files are taken")
    assert sorted(waiting(home), key=int) == [str(number) for number in range(count)]
    found = inventory(home)
    assert found["balanced"], found
    assert found["accepted"] == count


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here: it takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_on_a_full_disk_files_stay_where_they_are_until_there_is_room(small_disk: Path) -> None:
    home = temporary_home(small_disk)
    incoming = Places(home).incoming / "incoming"
    (home.log / "observer.log").symlink_to(small_disk.parent / "observer.log")
    observer = Observer(home)
    for number in range(3):
        (incoming / f".{number}").write_bytes(b"content")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 1000):
                pass
        except OSError:
            pass
    for number in range(3):
        (incoming / f".{number}").rename(incoming / str(number))
    wait_until(lambda: observer.said("cannot be taken"), what="it is told")
    assert waiting(home) == []
    filler.unlink()
    wait_until(lambda: sorted(waiting(home)) == ["0", "1", "2"], what="all files wait")
    assert len(observer.said("cannot be taken")) == len(observer.said("taken again")) == 1
    observer.kill()
    found = inventory(home)
    assert (found["accepted"], found["balanced"]) == (3, True), found


# ── what it guards ─────────────────────────────────────────────────────────────────────────────────────────────────


def given(home: Home, folder: Path, prefix: str = "") -> Path:
    path = folder / f"{prefix}{waiting_name(b'file')}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    write_tags(path, first_tags(new_uid(), b"file", b"incoming"), Places(home).sidecars)
    return path


def test_a_file_goes_back_to_its_queue_when_its_retry_is_due(home: Home, observer: Observer) -> None:
    due = int((time.time() + 0.5) * 1e6)
    path = given(home, Places(home).delayed(OTHER), f"{due:016d}-")
    later = given(home, Places(home).delayed(OTHER), f"{due + 10**9:016d}-")
    wait_until(lambda: waiting(home, OTHER) == ["file"], what="the file waits again")
    assert time.time() * 1e6 >= due
    assert (Places(home).queue(OTHER) / path.name[17:]).exists()
    assert later.exists()


def test_a_stuck_worker_is_killed_and_its_file_waits_again(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.ini").write_text("[general]\nname = other\n[step_main]\ntimeout = 1\n")
    plugin = load_plugin(folder, MODULE, home)
    assert plugin.config.section("step_main", StepConfig).timeout == 1
    remember(home, [plugin], [])
    observer = Observer(home)
    child = os.fork()
    if child == 0:
        worker = WorkerFolder(Places(home).work(OTHER))
        given(home, worker.path)
        while True:
            time.sleep(60)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    wait_until(lambda: waiting(home, OTHER) == ["file"], what="the file waits again")
    (event,) = (event for event in events(home) if event["event"] == "recovered")
    assert "timeout = 1 s" in event["reason"]
    assert observer.said("stuck")[0]["pid_"] == child
    observer.kill()


# ── orders ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_ends_at_once_when_told_to(observer: Observer) -> None:
    observer.process.terminate()
    assert observer.process.wait(60) == 0


def test_it_takes_nothing_more_once_told_to_drain(home: Home, observer: Observer, incoming: Path) -> None:
    observer.process.send_signal(signal.SIGUSR1)
    ready = ready_file(home, "observer", observer.process.pid)
    wait_until(lambda: json.loads(ready.read_text()).get("drained"), what="it is drained")
    (incoming / "file").write_bytes(b"content")
    observer.process.terminate()
    assert observer.process.wait(60) == 0
    assert waiting(home) == []


def test_a_wrong_directory_is_told_in_one_line(home: Home) -> None:
    (home.config / "config.ini").write_text("[incoming]\ndirectories = ..\n")
    variables = child_variables(home) | {"METWORK_PROCESS": "observer"}
    ended = subprocess.run(
        [sys.executable, "-m", "mfdata.intake.observer"], env=variables, capture_output=True, text=True
    )
    assert ended.returncode == 3
    assert ended.stderr == '[incoming] directories: ".." is no name of a directory below var/in\n'
