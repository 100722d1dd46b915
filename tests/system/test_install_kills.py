"""kill -9 of installations, upgrades, rollbacks and removals at random instants, under a flow of files.

A plugin is there in one version or in another, never half; no file is lost; the next command repairs. A quick run has
few kills; ``make install-kills`` has many.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mfext.plugin.install.transaction import FOLDER
from mfext.plugin.marker import markers
from mfext.testing import wait_until
from tests.system.conftest import Flow

KILLS = int(os.environ.get("INSTALL_KILLS", "20"))
#: Files of a plugin, each with its version in it.
FILES = 150
STEP = """
from pathlib import Path
from mfdata import Done, Step

class Keep(Step):
    def process(self, file):
        return Done(to=Path({folder!r}, file.basename))

if __name__ == "__main__":
    Keep.main()
"""


@dataclass
class Tally:
    """What the kills hit."""

    acts: Counter[str] = field(default_factory=Counter)
    #: Those that left a change to be brought to its end.
    interrupted: Counter[str] = field(default_factory=Counter)
    #: Those that came when the command had ended.
    late: int = 0


@pytest.mark.timeout(60 + 8 * KILLS)
def test_an_installation_that_is_killed_leaves_old_or_new_and_the_next_command_repairs(flow: Flow) -> None:
    archives = {name: [released(flow, name, version) for version in ("1.0", "1.1")] for name in ("kept", "other")}
    flow.run("plugins.install", archives["kept"][0])
    chance, tally = random.Random(KILLS), Tally()
    with sending(flow) as sent:
        while tally.acts.total() - tally.late < KILLS:
            act, command = chosen(flow, archives, chance)
            tally.acts[act] += 1
            kill_at_random(flow, command, chance, tally, act)
            check_whole(flow)
            repair(flow, chance)
    wait_until(flow.is_idle, what="all files at their end")
    arrived = sorted(path.name for path in (flow.folder / "out").iterdir())
    print(
        f"{KILLS} kills ({dict(tally.acts)}, {tally.late} more came too late), {tally.interrupted.total()} of them in "
        f"a change ({dict(tally.interrupted)}): no plugin half, {len(sent)} files sent, {len(arrived)} arrived"
    )
    assert arrived == sorted(sent)
    assert flow.quarantine("kept/main") == []


def released(flow: Flow, name: str, version: str) -> Path:
    """The archive of a version, each of whose files tells which one it is."""
    folder = flow.folder / f"{name}-{version}"
    (folder / "data").mkdir(parents=True)
    rule = "switch_logical_condition = True\n" if name == "kept" else ""
    (folder / "config.ini").write_text(f"[general]\nname = {name}\nversion = {version}\n[step_main]\n{rule}")
    (folder / "main.py").write_text(STEP.format(folder=str(flow.folder / "out")))
    for number in range(FILES):
        (folder / "data" / str(number)).write_text(version)
    flow.run("plugins.release", "--to", flow.folder, folder)
    return next(flow.folder.glob(f"{name}-{version}-*.plugin"))


@contextmanager
def sending(flow: Flow) -> Iterator[list[str]]:
    """Let files arrive all the time."""
    (flow.folder / "out").mkdir()
    sent: list[str] = []
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.05):
            sent.append(f"file{len(sent)}")
            flow.drop(sent[-1], b"x")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        done.set()
        sender.join()


def chosen(flow: Flow, archives: dict[str, list[Path]], chance: random.Random) -> tuple[str, list[str]]:
    """An act that is possible now."""
    there = markers(flow.home)
    acts = [("upgrade", ["plugins.install", "--upgrade", "--downgrade", str(other_version(flow, "kept", archives))])]
    if there["kept"].previous:
        acts.append(("rollback", ["plugins.rollback", "kept"]))
    if "other" in there:
        acts.append(("uninstall", ["plugins.uninstall", "other"]))
    else:
        acts.append(("install", ["plugins.install", str(chance.choice(archives["other"]))]))
    return chance.choice(acts)


def other_version(flow: Flow, name: str, archives: dict[str, list[Path]]) -> Path:
    return archives[name][markers(flow.home)[name].version == "1.0"]


def kill_at_random(flow: Flow, command: list[str], chance: random.Random, tally: Tally, act: str) -> None:
    """Start *command* and kill it, alone or with all its children."""
    process = subprocess.Popen(
        command, env=flow.environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    threading.Event().wait(chance.uniform(0.15, 1.6))
    if process.poll() is not None:
        tally.late += 1
        return
    if chance.random() < 0.5:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    if any((flow.home.plugins / FOLDER / name).exists() for name in ("forward", "back")):
        tally.interrupted[act] += 1


def check_whole(flow: Flow) -> None:
    """Each plugin is there in one version, or not at all; the one that gets files is there."""
    for name in ("kept", "other"):
        place = flow.home.plugins / name
        if name == "kept" or place.exists():
            versions = Counter(path.read_text() for path in (place / "data").iterdir())
            assert list(versions.values()) == [FILES], f"{name}: {versions}"
            assert f"version = {next(iter(versions))}\n" in (place / "config.ini").read_text()


def repair(flow: Flow, chance: random.Random) -> None:
    """Let any next command find what the killed one left."""
    flow.run(*chance.choice([("plugins.list",), ("plugins.repair",), ("plugins.check", "kept")]))
    assert not (flow.home.plugins / FOLDER).exists()
    there = markers(flow.home)
    listed = flow.run("rpm", "--dbpath", flow.home.var / "rpm", "-qa", "--qf", "%{NAME} %{VERSION}\n").splitlines()
    assert sorted(listed) == sorted(f"{name} {marker.version}" for name, marker in there.items())
    wanted = {marker.archive for marker in there.values()} | {marker.previous for marker in there.values()} - {""}
    assert {path.name for path in (flow.home.var / "releases").iterdir()} == wanted
    wait_until(lambda: {f"step.{name}.main" for name in there} <= {name for name, pids in flow.pids().items() if pids})
