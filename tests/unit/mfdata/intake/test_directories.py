"""Which directories are external, and which step gets what comes there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfdata.config import Incoming
from mfdata.intake.directories import ExternalDirectory, external_directories, is_shared
from mfdata.storage.places import Places, Target
from mfext.environment import Home
from mfext.errors import ConfigError, MetworkError

PLACES = Places(Home("mfdata", Path("/home/mfdata")))
IN = Path("/home/mfdata/var/in")
SWITCH, OTHER = Target("switch", "main"), Target("other", "main")


def test_by_default_there_is_incoming_for_the_switch() -> None:
    assert external_directories(PLACES, Incoming()) == [ExternalDirectory(IN / "incoming", SWITCH)]


def test_an_absolute_path_is_taken_as_it_is() -> None:
    found = external_directories(PLACES, Incoming(directories=("/data/in", "sub/dir"), destination="other/main"))
    assert found == [ExternalDirectory(Path("/data/in"), OTHER), ExternalDirectory(IN / "sub" / "dir", OTHER)]


@pytest.mark.parametrize("text", ["{{AUTO}}", "", "step.other.main", " {{AUTO}} : "])
def test_a_steps_own_queue_is_not_external(text: str) -> None:
    assert len(external_directories(PLACES, Incoming(), {OTHER: text})) == 1


def test_a_step_may_listen_to_directories_of_its_own() -> None:
    found = external_directories(PLACES, Incoming(), {OTHER: "{{AUTO}}:first: second"})
    assert found[1:] == [ExternalDirectory(IN / "first", OTHER), ExternalDirectory(IN / "second", OTHER)]


def test_a_directory_has_the_priority_that_its_step_declares() -> None:
    found = external_directories(PLACES, Incoming(), {OTHER: "first"}, {OTHER: 0})
    assert [one.priority for one in found] == [None, 0]


@pytest.mark.parametrize(
    ("incoming", "listened", "said"),
    [
        (Incoming(directories=("../x",)), "", "no name of a directory below"),
        (Incoming(directories=("step.a.main",)), "", "names a queue"),
        (Incoming(directories=("/home/mfdata/var/in/step.a.main",)), "", "names a queue"),
        (Incoming(), "a/b", "holds a /"),
        (Incoming(), "step.a.main", "names a queue"),
        (Incoming(), "incoming", "is listened to by switch/main already ([incoming] directories)"),
        (Incoming(), "..", "no name of a directory below"),
    ],
)
def test_a_wrong_name_is_an_error_that_says_where_it_is_written(incoming: Incoming, listened: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        external_directories(PLACES, incoming, {OTHER: listened})
    assert said in caught.value.message
    assert ("listened_directories" if listened else "[incoming] directories") in caught.value.where


def test_all_wrong_names_are_told_at_once() -> None:
    with pytest.raises(MetworkError) as caught:
        external_directories(PLACES, Incoming(directories=("..", "step.x.y")))
    assert len(caught.value.message.splitlines()) == 2


def test_a_local_disk_is_not_shared(tmp_path: Path) -> None:
    assert not is_shared(tmp_path.stat().st_dev)
