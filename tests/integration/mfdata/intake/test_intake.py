"""Files are taken when they are complete, once, whoever dies when."""

from __future__ import annotations

import codecs
import errno
import os
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mfdata.config import Incoming, Safety
from mfdata.intake.completeness import Decision
from mfdata.intake.directories import ExternalDirectory
from mfdata.intake.intake import Closed, Intake
from mfdata.operations.inventory import inventory
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import ATTRIBUTE, read_tags, uid_of
from mfdata.storage.trace import Event, Trace, events
from mfext.environment import Home
from mfext.fs.copy import copy
from mfext.testing import temporary_home

SWITCH = Target("switch", "main")
CONTENT = b"content of the file" * 20
CHANGING = ("rename", "unlink", "mkdir", "link", "setxattr", "sendfile", "utime", "write", "chmod", "open", "fsync")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


@pytest.fixture
def incoming(home: Home) -> ExternalDirectory:
    folder = Places(home).incoming / "incoming"
    folder.mkdir(parents=True)
    return ExternalDirectory(folder, SWITCH)


@pytest.fixture
def other_disk() -> Iterator[Path]:
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm, which is another file system")
    folder = Path("/dev/shm") / f"metwork-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def intake_of(home: Home, durability: str = "crash", **settings: object) -> Intake:
    return Intake(
        Places(home),
        Incoming(**settings),  # type: ignore[arg-type]
        Safety(durability=durability),
        Trace(home, "observer"),
    )


def waiting(home: Home) -> list[Path]:
    queue = Places(home).queue(SWITCH)
    return sorted(queue.iterdir()) if queue.is_dir() else []


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def accepted(home: Home) -> list[Event]:
    return [event for event in events(home) if event["event"] == "accepted"]


def tags_of(home: Home, path: Path) -> dict[str, bytes]:
    return read_tags(path, Places(home).sidecars)


NAMES = [
    b"some.png",
    b"with spaces and \xc3\xa9",
    b"-rf",
    b"caf\xe9.grib",
    b"new\nline",
    b'"quotes" and \\',
    b"\x01\x1b[31m",
    b"x" * 255,
    b"=;%{{A}}",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_passes_through_unharmed(home: Home, incoming: ExternalDirectory, name: bytes) -> None:
    path = os.fsencode(incoming.path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(CONTENT)
    assert intake_of(home).take(incoming, os.fsdecode(name), was_closed=True) is Decision.TAKE
    (taken,) = waiting(home)
    tags = tags_of(home, taken)
    assert tags["first.core.original_basename"] == tags["latest.core.original_basename"] == name
    assert tags["first.core.original_dirname"] == b"incoming"
    assert tags["latest.core.step_counter"] == b"0"
    assert taken.read_bytes() == CONTENT
    (event,) = accepted(home)
    assert os.fsencode(event["name"]) == name
    assert event["uid"] == uid_of(tags)
    assert event["file"] == taken.name
    assert event["size"] == len(CONTENT)


def test_a_file_with_an_old_time_is_a_file_like_any_other(home: Home, incoming: ExternalDirectory) -> None:
    (incoming.path / "old").write_bytes(CONTENT)
    os.utime(incoming.path / "old", (0, 0))
    assert intake_of(home).take(incoming, "old", was_closed=False) is Decision.TAKE
    assert waiting(home)[0].stat().st_mtime == 0


def test_an_empty_file_is_a_file(home: Home, incoming: ExternalDirectory) -> None:
    (incoming.path / "empty").touch()
    assert intake_of(home).take(incoming, "empty", was_closed=True) is Decision.TAKE


def test_a_file_that_somebody_writes_is_left_until_he_is_done(home: Home, incoming: ExternalDirectory) -> None:
    intake = intake_of(home)
    with (incoming.path / "half").open("wb") as writer:
        writer.write(CONTENT[:9])
        writer.flush()
        os.utime(writer.fileno(), (0, 0))
        assert intake.take(incoming, "half", was_closed=False) is Decision.OPEN
        assert intake.take(incoming, "half", was_closed=True) is Decision.OPEN
        writer.write(CONTENT[9:])
    assert intake.take(incoming, "half", was_closed=True) is Decision.TAKE
    assert waiting(home)[0].read_bytes() == CONTENT


def test_where_no_lease_can_tell_a_file_must_stand_still(
    home: Home, incoming: ExternalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfdata.intake.intake.is_shared", lambda device: True)
    now = [100.0]
    monkeypatch.setattr("mfdata.intake.intake.time.monotonic", lambda: now[0])
    intake = intake_of(home, stable_for=5.0)
    file = incoming.path / "file"
    file.write_bytes(CONTENT[:9])
    assert intake.take(incoming, "file", was_closed=False) is Decision.UNSETTLED
    now[0] += 4
    file.write_bytes(CONTENT)
    assert intake.take(incoming, "file", was_closed=False) is Decision.UNSETTLED
    now[0] += 4
    assert intake.take(incoming, "file", was_closed=False) is Decision.UNSETTLED
    now[0] += 1
    assert intake.take(incoming, "file", was_closed=False) is Decision.TAKE
    assert intake.stable_periods.due(now[0], 0) == []


def test_where_no_lease_can_tell_an_event_is_enough(
    home: Home, incoming: ExternalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfdata.intake.intake.is_shared", lambda device: True)
    (incoming.path / "file").write_bytes(CONTENT)
    assert intake_of(home).take(incoming, "file", was_closed=True) is Decision.TAKE


def make_symlink(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def make_socket(path: Path) -> None:
    here = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


@pytest.mark.parametrize(
    ("make", "said"),
    [(make_symlink, "a symbolic link"), (Path.mkdir, "a directory"), (os.mkfifo, "a fifo"), (make_socket, "a socket")],
)
def test_what_is_not_a_file_is_left_alone(
    home: Home, incoming: ExternalDirectory, make: Callable[[Path], None], said: str
) -> None:
    make(incoming.path / "odd")
    intake = intake_of(home)
    assert intake.take(incoming, "odd", was_closed=True) is Decision.UNEXPECTED
    assert [(unexpected.path, unexpected.reason) for unexpected in intake.unexpected_files] == [
        (f"{incoming.path}/odd", f"it is {said}")
    ]
    assert os.path.lexists(incoming.path / "odd")
    assert accepted(home) == []


def test_a_name_that_is_not_there_any_more_is_no_error(home: Home, incoming: ExternalDirectory) -> None:
    assert intake_of(home).take(incoming, "gone", was_closed=True) is Decision.GONE


def test_tags_that_a_file_brings_with_it_are_not_believed(home: Home, incoming: ExternalDirectory) -> None:
    file = incoming.path / "file"
    file.write_bytes(CONTENT)
    os.setxattr(file, ATTRIBUTE, b"first.core.original_uid=mine\0evil=1")
    intake_of(home).take(incoming, "file", was_closed=True)
    tags = tags_of(home, waiting(home)[0])
    assert "evil" not in tags
    assert uid_of(tags) == accepted(home)[0]["uid"] != "mine"


def test_what_was_brought_to_disk_counts_only_while_nobody_opens_it(
    home: Home, incoming: ExternalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # who breaks a lease sends it
    intake = intake_of(home, "power")
    for name in ("still", "opened", "replaced"):
        (incoming.path / name).write_bytes(CONTENT)
    intake.prepare(incoming, ["still", "opened", "replaced"])
    with pytest.raises(BlockingIOError):
        os.open(incoming.path / "opened", os.O_WRONLY | os.O_NONBLOCK)
    signal.signal(signal.SIGIO, before)
    (incoming.path / "new").write_bytes(CONTENT[::-1])
    (incoming.path / "new").rename(incoming.path / "replaced")
    synced: list[int] = []
    real = os.fsync

    def sync(file: int) -> None:
        synced.append(os.fstat(file).st_ino)
        real(file)

    monkeypatch.setattr(os, "fsync", sync)
    inodes = {name: (incoming.path / name).stat().st_ino for name in ("still", "opened", "replaced")}
    for name in inodes:
        assert intake.take(incoming, name, was_closed=True) is Decision.TAKE
    assert [inode in synced for inode in inodes.values()] == [False, True, True]
    assert [path.read_bytes() for path in waiting(home)] == [CONTENT, CONTENT, CONTENT[::-1]]
    assert all(uid_of(tags_of(home, path)) for path in waiting(home))


def test_who_is_not_taken_in_the_end_is_not_held(home: Home, incoming: ExternalDirectory) -> None:
    intake = intake_of(home, "power")
    for name in ("one", "two"):
        (incoming.path / name).write_bytes(CONTENT)
    intake.prepare(incoming, ["one", "two"])
    intake.sync()
    for name in ("one", "two"):
        os.close(os.open(incoming.path / name, os.O_WRONLY | os.O_NONBLOCK))


def test_a_priority_is_in_the_name_and_goes_with_the_file(home: Home, incoming: ExternalDirectory) -> None:
    (incoming.path / "file").write_bytes(CONTENT)
    intake_of(home, priority=2).take(incoming, "file", was_closed=True)
    (taken,) = waiting(home)
    assert taken.name.startswith("2-")
    assert tags_of(home, taken)["latest.core.priority"] == b"2"


def test_the_priority_of_the_step_that_a_directory_feeds_counts_more(home: Home, incoming: ExternalDirectory) -> None:
    (incoming.path / "file").write_bytes(CONTENT)
    intake_of(home, priority=2).take(replace(incoming, priority=0), "file", was_closed=True)
    assert waiting(home)[0].name.startswith("0-")


def test_a_hard_linked_file_is_taken_as_a_copy_of_our_own(home: Home, incoming: ExternalDirectory) -> None:
    theirs = home.path / "theirs"
    theirs.write_bytes(CONTENT)
    (incoming.path / "file").hardlink_to(theirs)
    assert intake_of(home).take(incoming, "file", was_closed=True) is Decision.TAKE
    (taken,) = waiting(home)
    assert taken.stat().st_ino != theirs.stat().st_ino
    assert ATTRIBUTE not in os.listxattr(theirs)
    assert names(incoming.path) == names(Places(home).intake) == []
    assert theirs.read_bytes() == taken.read_bytes() == CONTENT


def test_a_file_on_another_disk_is_brought_in(home: Home, other_disk: Path) -> None:
    directory = ExternalDirectory(other_disk, SWITCH)
    (other_disk / "file").write_bytes(CONTENT)
    os.utime(other_disk / "file", (5, 5))
    assert intake_of(home).take(directory, "file", was_closed=True) is Decision.TAKE
    (taken,) = waiting(home)
    assert (taken.read_bytes(), taken.stat().st_mtime) == (CONTENT, 5)
    assert tags_of(home, taken)["first.core.original_dirname"] == os.fsencode(other_disk.name)
    assert names(other_disk) == names(Places(home).intake) == []


def test_a_disk_that_is_not_mounted_now_is_waited_for(home: Home, other_disk: Path) -> None:
    directory = ExternalDirectory(other_disk, SWITCH)
    (other_disk / "file").write_bytes(CONTENT)
    dies(lambda: intake_of(home).take(directory, "file", was_closed=True), at=12)
    away = other_disk.with_name(f"{other_disk.name}.away")
    other_disk.rename(away)
    intake = intake_of(home)
    assert [type(error) for error in intake.transfers.resume()] == [FileNotFoundError]
    assert len(intake.transfers.pending()) == 1
    away.rename(other_disk)
    assert intake.transfers.resume() == []
    intake.take(directory, "file", was_closed=False)
    assert [path.read_bytes() for path in waiting(home)] == [CONTENT]


def test_a_power_cut_that_took_the_copy_away_does_not_take_the_file(
    home: Home, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names on the two disks came to them in another order than they were given."""
    directory = ExternalDirectory(other_disk, SWITCH)
    (other_disk / "file").write_bytes(CONTENT)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mfdata.intake.copy_in.Transfers._finish", cut)
        with pytest.raises(KeyboardInterrupt):
            intake_of(home).take(directory, "file", was_closed=True)
    (copy,) = (path for path in Places(home).intake.iterdir() if path.suffix != ".intent")
    copy.unlink()
    assert intake_of(home).transfers.resume() == []
    assert [path.read_bytes() for path in waiting(home)] == [CONTENT]
    assert names(other_disk) == names(Places(home).intake) == []
    assert inventory(home)["balanced"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_files_that_another_user_lets_us_neither_mark_nor_remove_are_left_alone(other_disk: Path) -> None:
    home = temporary_home(other_disk)
    incoming = ExternalDirectory(other_disk / "theirs", SWITCH)
    incoming.path.mkdir(mode=0o755)
    (incoming.path / "file").write_bytes(CONTENT)
    (incoming.path / "secret").touch(mode=0o600)
    for folder in (home.path, *home.path.rglob("*")):
        folder.chmod(0o777)

    def as_nobody() -> None:
        codecs.lookup("ascii")  # nobody may not be allowed to load it
        os.seteuid(65534)
        intake = intake_of(home)
        assert intake.take(incoming, "file", was_closed=True) is Decision.UNEXPECTED
        assert intake.take(incoming, "secret", was_closed=True) is Decision.UNEXPECTED
        assert len(intake.unexpected_files) == 2
        assert names(Places(home).intake) == []

    assert in_child(as_nobody) == 0
    assert names(incoming.path) == ["file", "secret"]
    assert accepted(home) == []


# ── death at any point ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("durability", ["crash", "power"])
@pytest.mark.parametrize("kind", ["own", "linked", "elsewhere"])
def test_a_death_at_any_point_takes_the_file_once(tmp_path: Path, other_disk: Path, kind: str, durability: str) -> None:
    at, died = 0, True
    while died:
        home = temporary_home(tmp_path / str(at))
        folder = (other_disk if kind == "elsewhere" else Places(home).incoming) / f"in{at}"
        folder.mkdir(parents=True)
        directory = ExternalDirectory(folder, SWITCH)
        (folder / "file").write_bytes(CONTENT)
        if kind == "linked":
            (home.path / "theirs").hardlink_to(folder / "file")
        died = dies(lambda: take_all(home, directory, durability), at)  # noqa: B023, called at once
        dies(lambda: take_all(home, directory, durability), at % 11)  # noqa: B023
        take_all(home, directory, durability)
        assert [path.read_bytes() for path in waiting(home)] == [CONTENT], f"died at change {at}"
        tags = tags_of(home, waiting(home)[0])
        assert tags["first.core.original_basename"] == b"file"
        assert {event["uid"] for event in accepted(home)} == {uid_of(tags)}, f"died at change {at}"
        assert names(folder) == names(Places(home).intake) == [], f"died at change {at}"
        assert inventory(home)["balanced"], f"died at change {at}"
        at += 1
    assert at > 4, "no change was counted: the test would prove nothing"


def take_all(home: Home, directory: ExternalDirectory, durability: str) -> None:
    """What an observer does when it starts."""
    Places(home).intake.mkdir(parents=True, exist_ok=True)
    intake = intake_of(home, durability)
    intake.replay_write_ahead("observer")
    assert intake.transfers.resume() == []
    for name in names(directory.path):
        intake.take(directory, name, was_closed=False)


def dies(act: Callable[[], object], at: int, changing: Sequence[str] = CHANGING) -> bool:
    """Do *act* in a child that is gone at its change number *at*."""

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return call(*args, **kwargs)

        return wrapper

    def doomed() -> None:
        for name in changing:
            setattr(os, name, counted(getattr(os, name)))
        act()

    left = [at]
    return in_child(doomed) == 9


def in_child(act: Callable[[], object]) -> int:
    """Exit status of a child that does *act*: 0, or 1 when it raised."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_file_that_comes_back_from_an_archive_is_a_new_one(home: Home, incoming: ExternalDirectory) -> None:
    file = incoming.path / "file"
    file.write_bytes(CONTENT)
    intake_of(home).take(incoming, "file", was_closed=True)
    first = accepted(home)[0]["uid"]
    # The last line of the trace tells of this very inode, which has the tags of that line; but it went on since.
    Trace(home, "step.switch.main", "switch", "main").write({"event": "done", "uid": first, "to": ["/archive/file"]})
    waiting(home)[0].rename(file)
    intake = intake_of(home)
    intake.replay_write_ahead("observer")
    intake.take(incoming, "file", was_closed=True)
    assert len({event["uid"] for event in accepted(home)}) == 2


@pytest.mark.parametrize("comes", ["other", "file"])
def test_an_arrival_that_cannot_be_replayed_is_corrected(home: Home, incoming: ExternalDirectory, comes: str) -> None:
    (incoming.path / "file").write_bytes(CONTENT)
    assert dies(lambda: intake_of(home).take(incoming, "file", was_closed=True), 0, ["rename"])
    assert len(accepted(home)) == 1
    (incoming.path / "file").rename(home.path / "theirs")
    (incoming.path / comes).write_bytes(CONTENT)
    intake = intake_of(home)
    intake.replay_write_ahead("observer")
    intake.take(incoming, comes, was_closed=True)
    assert len(waiting(home)) == 1
    assert len(accepted(home)) == 2
    assert inventory(home)["accepted"] == 1
    assert inventory(home)["balanced"]


def test_a_copy_that_was_cut_off_is_not_taken_for_the_file(home: Home, incoming: ExternalDirectory) -> None:
    source = home.path / "source"
    source.write_bytes(CONTENT)
    copy(source, incoming.path / ".metwork-1.tmp")
    assert intake_of(home, ignore=()).take(incoming, ".metwork-1.tmp", was_closed=True) is Decision.GONE


def test_a_queue_that_cannot_be_written_is_no_fault_of_the_file(
    home: Home, incoming: ExternalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (incoming.path / "file").write_bytes(CONTENT)
    intake = intake_of(home)

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refused)
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(Closed):
            intake.take(incoming, "file", was_closed=True)
    assert intake.has_write_ahead
    assert intake.take(incoming, "file", was_closed=True) is Decision.TAKE
    assert len(waiting(home)) == len(accepted(home)) - 1 == 1
    assert len({event["uid"] for event in accepted(home)}) == 1
