"""Kills, full disks and commands that come at the same time: all or nothing, and the next command repairs."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.commands.cli import run
from mfext.environment import home_of
from mfext.fs.lock import exclusive
from mfext.plugin.install import transaction as transactions
from mfext.plugin.package.archive import read_archive
from mfext.testing import wait_until
from tests.integration.mfext.conftest import Site

#: Starts well and ends at once.
CRASHES = "raise SystemExit(3)\n"


class Killed(BaseException):
    """Stands for a kill: nothing that the command would do then is done."""


@pytest.mark.parametrize("step", ["_place", "settle_database", "_end"])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_killed_upgrade_is_brought_to_its_end_by_the_next_command(
    running: Site, monkeypatch: pytest.MonkeyPatch, step: str, is_after: bool
) -> None:
    running.does("install", running.release("one"))
    second = running.release("one", "1.1")
    _die_in(monkeypatch, step, is_after)
    with pytest.raises(Killed):
        running.says("install", "--upgrade", second)
    monkeypatch.undo()
    assert running.leftovers() == [".transaction"]
    environment_again(running, monkeypatch)
    assert running.versions() == {"one": "1.1"}
    assert running.leftovers() == []
    assert running.rpm("-q", "one") == "one-1.1-1.noarch\n"
    wait_until(lambda: running.listed()["one"]["state"] == "running", what="the plugin to run")


def test_a_kill_while_it_goes_back_is_brought_to_its_end_too(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    running.does("install", running.release("one"))
    broken = running.release("one", "2.0", code=CRASHES)

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(transactions.Transaction, "_put_back", die)
    with pytest.raises(Killed):
        running.says("install", "--upgrade", broken)
    monkeypatch.undo()
    environment_again(running, monkeypatch)
    assert (running.home.plugins / ".transaction" / "back").is_file()
    assert running.versions() == {"one": "1.0"}
    assert running.leftovers() == []
    assert running.rpm("-q", "one") == "one-1.0-1.noarch\n"
    assert running.listed()["one"]["state"] == "running"


def environment_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``undo`` took with it."""
    monkeypatch.setenv("METWORK_HOME", str(site.home.path.parent))
    monkeypatch.setenv("METWORK_CONFIG_D", str(site.folder / "etc"))
    monkeypatch.setenv("MFMODULE", "MFDATA")


def _die_in(monkeypatch: pytest.MonkeyPatch, step: str, is_after: bool) -> None:
    """Let the command die before or after *step* of a transaction that is written down."""
    kind = transactions.Transaction
    act = getattr(kind, step)

    def die(self: transactions.Transaction, *arguments: object) -> None:
        if not self.is_written:
            act(self, *arguments)
            return
        if is_after and step != "_end":
            act(self, *arguments)
        monkeypatch.setattr(kind, "_go_back", lambda *_: None)
        raise Killed

    monkeypatch.setattr(kind, step, die)
    original = Path.rename

    def rename(path: Path, target: Path) -> Path:
        return path if path.name == "forward" else original(path, target)

    monkeypatch.setattr(Path, "rename", rename)


def test_a_second_command_waits_for_the_first(site: Site) -> None:
    archive = site.release("one")
    run(["mfdata", "init"])
    entered, done = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(site.home.run / "plugins.lock", "the plugins of mfdata", "install"):
            entered.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(60)
    second = subprocess.Popen(
        ["plugins.install", str(archive)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: _waits_for_lock(second.pid), what="the second command to wait")
    assert second.poll() is None
    done.set()
    holder.join()
    assert second.communicate(timeout=60)[1] == ""
    assert second.returncode == 0
    assert site.versions() == {"one": "1.0"}


def _waits_for_lock(pid: int) -> bool:
    try:
        return any("plugins.lock" in str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def test_a_command_that_waits_too_long_says_for_whom(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.release("one")
    run(["mfdata", "init"])
    monkeypatch.setattr("mfext.plugin.install.install.exclusive", lambda *names: exclusive(*names, timeout=0.1))
    with exclusive(site.home.run / "plugins.lock", "the plugins of mfdata", "rollback"):
        status, _, err = site.says("install", archive)
    assert (status, "(rollback, process " in err) == (6, True)


def test_a_full_disk_changes_nothing(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (running.plugin("one") / "data").write_bytes(b"x" * 100_000)
    running.does("install", running.release("one"))
    second = running.release("one", "1.1")
    limit = "ulimit -f 20; trap '' XFSZ; exec plugins.install --upgrade \"$0\""
    done = subprocess.run(["sh", "-c", limit, str(second)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert running.versions() == {"one": "1.0"}
    assert running.listed()["one"]["state"] == "running"
    assert running.leftovers() == []


@pytest.fixture
def small_disk(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A home, in which mfdata runs, on a disk of 6 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    monkeypatch.setenv("METWORK_HOME", str(disk))
    site.home = home_of("mfdata")
    try:
        assert run(["mfdata", "start"]) == 0
        yield site
    finally:
        run(["mfdata", "stop"])
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize("spare", [-8, 4, 12, 24])
def test_wherever_a_disk_becomes_full_the_old_version_goes_on(
    small_disk: Site, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    # What protects from it, a look at the room before, is not there: something else fills the disk at that moment.
    monkeypatch.setattr("mfext.plugin.install.install._check_room", lambda *_: None)
    (small_disk.plugin("one") / "data").write_bytes(b"x" * 500_000)
    small_disk.does("install", small_disk.release("one"))
    second = small_disk.release("one", "1.1")
    archive = read_archive(second)
    disk = small_disk.home.path.parent
    wanted = archive.room + second.stat().st_size + spare * 1024
    (disk / "fill").write_bytes(b"x" * (shutil.disk_usage(disk).free - wanted))
    status, _, err = small_disk.says("install", "--upgrade", second)
    (disk / "fill").unlink()
    version = "1.0" if status else "1.1"
    assert "Traceback" not in err
    assert small_disk.versions() == {"one": version}
    assert small_disk.rpm("-q", "one") == f"one-{version}-1.noarch\n"
    assert small_disk.listed()["one"]["state"] == "running"
    assert small_disk.leftovers() == []


def test_too_little_room_is_told_before_anything_is_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.release("one")
    usage = shutil.disk_usage(site.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert "there is no room for the plugin one" in site.refuses("install", archive)
    assert site.leftovers() == []
