"""``durability = power``: what is handed over or acknowledged is on disk by then, as the system calls show."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mfdata.intake.completeness import HIDDEN
from mfdata.receivers.upload import PREFIX
from mfext.testing import wait_until
from tests.integration.mfdata import test_crash_points as crash_points
from tests.integration.mfdata.receivers.test_ftp_receiver import Receiver, client
from tests.matrix.disk import CALLS, Call, calls_of, faults_of

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")

#: Where something counts once it is there. Not delays and quarantine: whoever loses the rename has the file where it
#: was, with all it was accepted with.
_PUBLIC = re.compile(r".*/(var/in/step\.[^/]*(/[^/.].*)?$|var/tags/[^/.]*|archive(/|$)|.*\.commit$)")
_STRACE = ("strace", "-f", "-y", "-s", "48", "-e", f"trace={CALLS}", "-o")

_HAND_OVER = """
import sys
from pathlib import Path
from mfext.environment import Home
from tests.integration.mfdata import test_crash_points as at

home, case, durability = Home("mfdata", Path(sys.argv[1])), getattr(at, sys.argv[2]), sys.argv[3]
at.give(home)
(home.path / "begin").touch()
at.work(home, case, durability)
"""

_INTAKE = """
import os, sys
from pathlib import Path
from mfdata.config import Incoming, Safety
from mfdata.intake.directories import ExternalDirectory
from mfdata.intake.intake import Intake
from mfdata.storage.places import Places, Target
from mfdata.storage.trace import Trace
from mfext.environment import Home

home = Home("mfdata", Path(sys.argv[1]))
places = Places(home)
places.incoming.mkdir(parents=True)
directory = ExternalDirectory(places.incoming / "incoming", Target("switch", "main"))
directory.path.mkdir()
home.log.mkdir()
(directory.path / "file").write_bytes(b"content")
if sys.argv[2] == "linked":
    os.link(directory.path / "file", home.path / "other")
intake = Intake(places, Incoming(), Safety(durability=sys.argv[3]), Trace(home, "observer"))
(home.path / "begin").touch()
intake.take(directory, "file", was_closed=True)
intake.sync()
"""

_INTAKE_OF_MANY = """
import sys
from pathlib import Path
from tests.integration.mfdata.intake.test_intake import SWITCH, ExternalDirectory, Home, Places, intake_of

home = Home("mfdata", Path(sys.argv[1]))
directory = ExternalDirectory(Places(home).incoming / "incoming", SWITCH)
directory.path.mkdir(parents=True)
home.log.mkdir()
names = [f"file{number}" for number in range(20)]
for name in names:
    (directory.path / name).write_bytes(b"content")
intake = intake_of(home, "power")
(home.path / "begin").touch()
intake.prepare(directory, names)
for name in names:
    intake.take(directory, name, was_closed=True)
intake.sync()
"""


def is_public(path: str) -> bool:
    return bool(_PUBLIC.match(path))


def traced(folder: Path, program: str, *arguments: str) -> list[Call]:
    """The calls of *program* in a home of its own."""
    output = folder / "strace"
    command = [*_STRACE, str(output), sys.executable, "-c", program, str(folder / "home"), *arguments]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3])
    calls = calls_of(output.read_text(errors="replace").splitlines())
    begin = next(number for number, call in enumerate(calls) if call.path.endswith("/home/begin"))
    return calls[begin + 1 :]


@pytest.mark.parametrize("case", [case.__name__ for case in crash_points.CASES])
def test_what_is_handed_over_is_on_disk_before_it_counts(tmp_path: Path, case: str) -> None:
    assert faults_of(traced(tmp_path, _HAND_OVER, case, "power"), is_public) == []


@pytest.mark.parametrize("kind", ["own", "linked"])
def test_what_is_taken_is_on_disk_before_its_producer_loses_it(tmp_path: Path, kind: str) -> None:
    assert faults_of(traced(tmp_path, _INTAKE, kind, "power"), is_public) == []


def test_a_copy_is_announced_on_disk_before_the_file_leaves_its_name(tmp_path: Path) -> None:
    """Otherwise a copy that a power cut took away would be held for one that had gone on."""
    calls = traced(tmp_path, _INTAKE, "linked", "power")
    hidden = next(number for number, call in enumerate(calls) if HIDDEN in call.target)
    made = [number for number, call in enumerate(calls[:hidden]) if call.kind == "make" and "/.intake/" in call.path]
    assert len(made) == 2
    assert "fsync" in {call.kind for call in calls[made[-1] : hidden] if call.path.endswith("/.intake")}


def test_of_many_that_are_taken_each_is_on_disk_in_time_and_each_folder_once(tmp_path: Path) -> None:
    calls = traced(tmp_path, _INTAKE_OF_MANY)
    assert [call.kind for call in calls if "/step." in call.target].count("rename") == 20
    assert faults_of(calls, is_public) == []
    synced = [call.path for call in calls if call.kind == "fsync" and not call.path.endswith("/var/in")]
    assert len(synced) == len(set(synced)) == 20 + 2
    for path in synced[:2]:
        assert faults_of([call for call in calls if call.path != path or call.kind != "fsync"], is_public)


def test_tags_that_need_a_file_of_their_own_are_on_disk_as_well(tmp_path: Path) -> None:
    calls = traced(tmp_path, _HAND_OVER, "with_large_tags", "power")
    assert any(call.kind == "rename" and "/var/tags/" in call.target for call in calls)
    assert faults_of(calls, is_public) == []
    unsynced = [call for call in calls if call.kind != "fsync" or "/var/tags" not in call.path]
    assert faults_of(unsynced, is_public)


@pytest.mark.parametrize("case", ["to_two", "one_output", "to_one"])
def test_each_of_these_fsyncs_is_needed(tmp_path: Path, case: str) -> None:
    calls = traced(tmp_path, _HAND_OVER, case, "power")
    synced = [call for call in calls if call.kind == "fsync" and "/step." in call.path]
    assert synced
    for call in synced:
        left_out = [other for other in calls if other is not call]
        assert faults_of(left_out, is_public), f"nobody would miss the fsync of {call.path}"


def test_without_power_durability_the_same_check_finds_faults(tmp_path: Path) -> None:
    assert faults_of(traced(tmp_path, _HAND_OVER, "to_two", "crash"), is_public)


def test_an_upload_is_acknowledged_when_it_is_on_disk(tmp_path: Path) -> None:
    output = tmp_path / "strace"
    receiver = Receiver(tmp_path / "home", before=(*_STRACE, str(output)))
    try:
        wait_until(lambda: list((receiver.home.run / "ready").glob("*/[0-9]*")), what="readiness")
        (ready,) = (receiver.home.run / "ready").glob("*/[0-9]*")
        receiver.process.pid = int(ready.name)
        with client(receiver) as ftp:
            answer = ftp.storbinary("STOR file", io.BytesIO(b"content"))
        assert answer.startswith("226")
    finally:
        os.kill(receiver.process.pid, 15)
        receiver.process.wait(10)
    lines = output.read_text(errors="replace").splitlines()
    calls = calls_of(lines, tells=lambda line: '"226 ' in line)
    assert [call.kind for call in calls].count("tell") == 1

    def uploaded(path: str) -> bool:
        return "/var/in/incoming/" in path and PREFIX not in path

    assert faults_of(calls, uploaded) == []
    assert faults_of([call for call in calls if call.kind != "fsync"], uploaded)
