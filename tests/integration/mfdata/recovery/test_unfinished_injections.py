"""What a killed injection leaves, and what becomes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfdata.operations.injection import into_queue
from mfdata.operations.inventory import inventory
from mfdata.recovery.unfinished_injections import UnfinishedInjections
from mfdata.storage.places import Places, Target
from mfdata.storage.tags import read_tags
from mfdata.storage.trace import Trace, events
from mfext.testing import temporary_home
from tests.integration.mfdata.operations.test_uninstall import without_attributes

STEP = Target("p", "main")
__all__ = ["without_attributes"]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(temporary_home(tmp_path))


@pytest.fixture
def unfinished(places: Places, monkeypatch: pytest.MonkeyPatch) -> UnfinishedInjections:
    monkeypatch.setattr("mfdata.recovery.sweeper.EVERY_S", 0)
    monkeypatch.setattr("mfdata.recovery.sweeper.LOOK_COST", 0)
    return UnfinishedInjections(places, Trace(places.home, "observer"))


def killed(places: Places, monkeypatch: pytest.MonkeyPatch, name: str = "file") -> Path:
    """The file of an injection that was killed before the rename."""
    source = places.home.path / name
    source.write_bytes(b"content")

    def die(self: Path, target: Path) -> Path:
        if target.parent == places.queue(STEP):
            raise KeyboardInterrupt
        return self.replace(target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            inject(places, source)
    return source


def inject(places: Places, source: Path) -> None:
    into_queue(source, places, STEP, Trace(places.home, "command"), keep=False)


@pytest.mark.parametrize("attributes", [True, False])
def test_a_killed_injection_is_taken_back_and_the_sums_are_true(
    places: Places,
    unfinished: UnfinishedInjections,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    attributes: bool,
) -> None:
    if not attributes:
        request.getfixturevalue("without_attributes")
    source = killed(places, monkeypatch)
    assert not inventory(places.home)["balanced"]
    assert [unfinished.look() for _ in range(3)] == [0, 1, 0]
    assert [event["event"] for event in events(places.home)] == ["injected", "ignored"]
    assert inventory(places.home)["balanced"]
    left = [path for folder in (places.intake, places.sidecars) if folder.is_dir() for path in folder.iterdir()]
    assert left == []
    inject(places, source)
    (waiting,) = places.queue(STEP).iterdir()
    assert read_tags(waiting, places.sidecars)["first.core.original_basename"] == b"file"
    assert inventory(places.home)["balanced"]


def test_an_injected_file_is_in_its_queue_on_disk_before_its_source_goes(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = places.home.path / "file"
    source.write_bytes(b"content")
    seen: list[tuple[Path, int, bool]] = []
    monkeypatch.setattr(
        "mfdata.operations.injection.sync_folder",
        lambda folder: seen.append((folder, len(list(folder.iterdir())), source.exists())),
    )
    inject(places, source)
    assert seen == [(places.queue(STEP), 1, True)]
    assert not source.exists()


def test_what_still_grows_is_left_alone(
    places: Places, unfinished: UnfinishedInjections, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(places, monkeypatch)
    (part,) = places.intake.iterdir()
    for number in range(3):
        part.write_bytes(b"more" * number)
        os.utime(part, (number, number))
        assert unfinished.look() == 0
    assert part.exists()


def test_who_takes_it_back_may_die_too(
    places: Places, unfinished: UnfinishedInjections, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(places, monkeypatch, "file.gone-")
    (part,) = places.intake.iterdir()
    part.rename(part.with_name(f".gone-{part.name[1:]}"))
    assert [unfinished.look(), unfinished.look()] == [0, 1]
    assert inventory(places.home)["balanced"]
    assert list(places.intake.iterdir()) == []
