"""Removal: no file waits for ever for a plugin that is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mfdata.config import Safety
from mfdata.file import File
from mfdata.quarantine import quarantine
from mfdata.recovery.recovery import Recovery
from mfdata.storage.names import is_delayed, undelayed
from mfdata.storage.places import Places, Target, target_of_folder
from mfdata.storage.retag import retag
from mfdata.storage.tags import before_entry, read_tags, uid_of
from mfdata.storage.trace import Trace
from mfext.environment import Home
from mfext.errors import Conflict, UsageError, nearest
from mfext.fs.sync import sync_folder
from mfext.section import Config

_PROCESS = "uninstall"


def waiting(home: Home, plugin: str) -> dict[str, int]:
    """How many files wait for each step of *plugin* or are in its hands, by ``PLUGIN/STEP``."""
    places = Places(home)
    return {str(target): count for target in _targets(places, plugin) if (count := _count(places, target))}


def before_uninstall(home: Home, _config: Config, plugin: str, move_to: str, to_quarantine: bool) -> None:
    """Refuse to uninstall *plugin* while files wait for it, unless it is said where they go.

    Raises:
        Conflict: files wait.
        UsageError: there is no step *move_to*.
    """
    if move_to:
        _check_target(home, plugin, move_to)
        return
    waits = waiting(home, plugin)
    if waits and not to_quarantine:
        counts = ", ".join(f"{count} for {name}" for name, count in waits.items())
        raise Conflict(
            f"files wait for this plugin: {counts}",
            where=f"plugin {plugin}",
            mend="Say where they go: --move-to PLUGIN/STEP or --quarantine.",
        )


def after_uninstall(home: Home, config: Config, plugin: str, move_to: str, to_quarantine: bool) -> None:
    """Put what waits for *plugin*, whose processes have ended, where it shall go."""
    if not move_to and not to_quarantine:
        return
    places = Places(home)
    safety = config.section("safety", Safety)
    trace = Trace(home, _PROCESS)
    durable = safety.durability == "power"
    recovery = Recovery(places, trace, max_crashes=safety.max_crashes, durable=durable)
    for target in _targets(places, plugin):
        recovery.recover(target)
        for path in _waiting(places, target):
            with suppress(FileNotFoundError):  # its retry was due, and it is met again in the queue
                own = _as_waiting(places, path)
                if move_to:
                    _move(places, trace, own, target, Target.of(move_to), durable=durable)
                else:
                    _quarantine(places, trace, own, target, durable=durable)


def _move(places: Places, trace: Trace, path: Path, target: Target, to: Target, *, durable: bool) -> None:
    tags = before_entry(quarantine.fresh(read_tags(path, places.sidecars)), target.plugin, target.step)
    queue = places.queue(to)
    queue.mkdir(parents=True, exist_ok=True)
    retag(path, tags, places.sidecars, durable=durable)
    trace.write({"event": "moved", **_facts_of(path, tags, target), "reason": "uninstalled", "to": [str(to)]})
    path.rename(queue / path.name)
    if durable:
        sync_folder(queue)


def _quarantine(places: Places, trace: Trace, path: Path, target: Target, *, durable: bool) -> None:
    tags = read_tags(path, places.sidecars)
    reason = "the plugin was uninstalled while the file waited for it"
    trace.write({"event": "quarantined", **_facts_of(path, tags, target), "kind": "uninstalled", "reason": reason})
    quarantine.keep(places, path, target, tags, {"kind": "uninstalled", "reason": reason}, durable=durable)


def _facts_of(path: Path, tags: dict[str, bytes], target: Target) -> dict[str, object]:
    name = File(path, tags).basename
    return {"uid": uid_of(tags), "name": name, "plugin": target.plugin, "step": target.step}


def _as_waiting(places: Places, path: Path) -> Path:
    """The file at *path* in the queue of its step, where its tags are found by its name, though it was delayed."""
    if not is_delayed(path.name):
        return path
    queue = places.queue(target_of_folder(path.parent.name))
    queue.mkdir(parents=True, exist_ok=True)
    return path.rename(queue / undelayed(path.name))


def _check_target(home: Home, plugin: str, move_to: str) -> None:
    from mfext.lifecycle.last_good import remembered

    steps = {
        f"{one.name}/{section.removeprefix('step_')}"
        for one in remembered(home).values()
        if one.name != plugin
        for section in one.config.names("step_*")
    }
    if move_to not in steps:
        raise UsageError(f'there is no step "{move_to}" to which files could go', mend=nearest(move_to, steps))


def _targets(places: Places, plugin: str) -> list[Target]:
    """The steps of *plugin* for which there are folders."""
    names = {name.removeprefix("step.") for name in _names(places.incoming) if name.startswith("step.")}
    for folder in (places.works, places.delays):
        names |= set(_names(folder))
    targets = (target_of_folder(name) for name in names if not name.startswith("."))
    return sorted(target for target in targets if target.plugin == plugin)


def _waiting(places: Places, target: Target) -> Iterator[Path]:
    # In the order in which they may still go.
    for folder in (places.delayed(target), places.queue(target)):
        yield from (folder / name for name in sorted(_names(folder)) if not name.startswith("."))


def _count(places: Places, target: Target) -> int:
    claimed = sum(
        name[0].isdigit() for worker in _names(places.work(target)) for name in _claimed(places, target, worker)
    )
    return sum(1 for _ in _waiting(places, target)) + claimed


def _claimed(places: Places, target: Target, worker: str) -> list[str]:
    return _names(places.work(target) / worker)


def _names(folder: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return os.listdir(folder)
    return []
