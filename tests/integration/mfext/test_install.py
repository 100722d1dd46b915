"""Released plugins in a home: installed, changed, taken out; what is refused, and what goes on then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.commands import run
from mfext.environment import home_of
from mfext.lock import exclusive
from mfext.plugin import transaction as transactions
from mfext.plugin.archive import read_archive
from mfext.testing import wait_until
from tests.integration.mfext.conftest import GOOD, Site

BAR = "#" * 33
#: Starts well and ends at once.
CRASHES = "raise SystemExit(3)\n"
#: A step whose own key is declared.
DECLARES = """
from dataclasses import dataclass
from mfdata import Step
from mfext.option import option
from mfext.section import Section

class Mine(Step):
    @dataclass(frozen=True)
    class Custom(Section):
        KEY: int = option(1, help="A key.")

if __name__ == "__main__":
    Mine.main()
"""


# -- one version after the other


def test_plugins_are_installed_in_any_order_and_run(running: Site) -> None:
    user = running.release("user", general="requires = tool >= 1.0")
    tool = running.release("tool")
    out = running.does("install", user, tool)
    assert out.splitlines() == [
        f"{'Preparing...':<38}{BAR} [100%]",
        f"   1:{'tool':<33}{BAR} [ 50%]",
        f"   2:{'user':<33}{BAR} [100%]",
        "INFO : The plugin tool 1.0-1 is installed and runs",
        "INFO : The plugin user 1.0-1 is installed and runs",
    ]
    listed = running.listed()
    assert {name: (one["version"], one["state"], one["dev_link"]) for name, one in listed.items()} == {
        "tool": ("1.0", "running", False),
        "user": ("1.0", "running", False),
    }
    assert sorted(running.rpm("-qa").split()) == ["tool-1.0-1.noarch", "user-1.0-1.noarch"]
    assert running.leftovers() == []


def test_while_the_module_does_not_run_they_are_installed_for_its_start(site: Site) -> None:
    out = site.does("install", site.release("one"))
    assert out.splitlines()[-1] == 'INFO : The plugin one 1.0-1 is installed and will run after "mfdata.start"'
    assert run(["mfdata", "start"]) == 0
    assert site.listed()["one"]["state"] == "running"


def test_an_upgrade_restarts_its_own_processes_only(running: Site) -> None:
    first, second = running.release("one"), running.release("one", "1.1")
    running.does("install", first, running.release("other"))
    before = {name: running.pids(name) for name in ("one", "other", "switch")}
    assert "--upgrade" in running.refuses("install", second)
    running.does("install", "--upgrade", second)
    assert running.versions() == {"one": "1.1", "other": "1.0"}
    assert running.rpm("-q", "one") == "one-1.1-1.noarch\n"
    assert running.pids("one")
    assert not running.pids("one") & before["one"]
    assert {name: running.pids(name) for name in ("other", "switch")} == {
        name: before[name] for name in ("other", "switch")
    }
    assert running.does("install", second).splitlines()[-1] == "INFO : All is as it should be already"


def test_a_downgrade_wants_its_word_and_a_rollback_goes_to_and_fro(site: Site) -> None:
    first, second = site.release("one"), site.release("one", "1.1")
    site.does("install", second)
    assert "--downgrade" in site.refuses("install", "--upgrade", first)
    assert "no version of the plugin" in site.refuses("rollback", "one")
    site.does("install", "--downgrade", first)
    for version in ("1.1", "1.0", "1.1"):
        site.does("rollback", "one")
        assert site.versions() == {"one": version}
        assert site.rpm("-q", "one") == f"one-{version}-1.noarch\n"
    assert len(list((site.home.var / "releases").iterdir())) == 2


def test_a_plugin_is_installed_a_second_time_under_another_name(running: Site) -> None:
    archive = running.release("one", "1.3", more="switch_logical_condition = False\n")
    running.does("install", archive)
    running.does("install", "--new-name", "two", archive)
    assert running.versions() == {"one": "1.3", "two": "1.3"}
    assert running.listed()["two"]["state"] == "running"
    assert running.rpm("-q", "two") == "two-1.3-1.noarch\n"
    assert "cannot be the name" in running.refuses("install", "--new-name", "a/b", archive)
    assert "expected one archive" in running.refuses("install", "--new-name", "x", archive, archive)


def test_uninstalling_leaves_nothing_but_what_is_not_ours(running: Site) -> None:
    running.does("install", running.release("one"))
    (running.home.plugins / "one" / "made_at_run_time").write_text("x")
    assert running.does("uninstall", "one") == "INFO : The plugin one is uninstalled\n"
    assert running.listed() == {}
    assert list(running.home.plugins.iterdir()) == list((running.home.var / "releases").iterdir()) == []
    assert running.rpm("-qa") == ""
    assert running.pids("one") == set()


def test_a_plugin_that_another_requires_stays(site: Site) -> None:
    site.does("install", site.release("tool"), site.release("user", general="requires = tool"))
    assert 'the plugin "user" requires metwork_plugin(tool)' in site.refuses("uninstall", "tool")
    assert set(site.versions()) == {"tool", "user"}


def test_all_of_several_are_installed_or_none(running: Site) -> None:
    archives = [running.release("good"), running.release("bad", code=CRASHES)]
    assert "step.bad.main: exit status 3" in running.refuses("install", *archives)
    assert running.listed() == {}
    assert running.rpm("-qa") == ""


# -- a new version that is no good


@pytest.mark.parametrize(
    ("more", "code", "status", "message"),
    [
        ("", "from mfdata import Step\nimport nothing_like_it\nStep.main()\n", 4, "No module named 'nothing_like_it'"),
        ("numprocesses = many\n", GOOD, 3, "[step_main] numprocesses"),
        ("[switch_rules:equal:a]\nb = nobody/main\n", GOOD, 3, "nobody/main"),
        ("", CRASHES, 5, "step.one.main: exit status 3"),
        ("cmd = no_such_program\n", GOOD, 4, 'there is no program "no_such_program"'),
    ],
)
def test_a_broken_new_version_leaves_the_old_one_running_and_says_so(
    running: Site, monkeypatch: pytest.MonkeyPatch, more: str, code: str, status: int, message: str
) -> None:
    running.does("install", running.release("one"))
    with monkeypatch.context() as patch:
        # Such an archive was made elsewhere, or for another version of MetWork.
        patch.setattr("mfext.plugin.release._check", lambda *_: None)
        patch.setattr("mfext.plugin.release.load_plugin", _lenient(running, "one", "2.0"))
        broken = running.release("one", "2.0", "", more, code)
    got = running.says("install", "--upgrade", broken)
    assert got[0] == status
    assert message in got[2]
    assert running.versions() == {"one": "1.0"}
    assert running.listed()["one"]["state"] == "running"
    assert running.rpm("-q", "one") == "one-1.0-1.noarch\n"
    assert running.leftovers() == []
    assert len(list((running.home.var / "releases").iterdir())) == 1
    assert str(running.home.plugins / ".transaction") not in got[2]


def _lenient(site: Site, name: str, version: str):  # type: ignore[no-untyped-def]
    """Loads the plugin as if its configuration were right."""
    from dataclasses import replace

    from mfext.module import load_module
    from mfext.plugin.manifest import load_plugin

    module = load_module("mfdata")

    def load(folder: Path, *_: object, **__: object) -> object:
        other = site.plugin(f"{name}_good", version)
        return replace(load_plugin(other, module, None), name=name, folder=folder)

    return load


def test_what_did_not_run_is_told_with_what_goes_on(running: Site) -> None:
    running.does("install", running.release("one"))
    said = running.refuses("install", "--upgrade", running.release("one", "2.0", code=CRASHES))
    assert "Nothing was installed: one 1.0-1 goes on" in said
    said = running.refuses("install", running.release("two", code=CRASHES))
    assert "Nothing was installed: two is not installed" in said


# -- administrators


def test_overrides_stay_through_an_upgrade_and_keys_that_are_gone_are_told(running: Site) -> None:
    overrides = running.home.config / "plugins" / "one.ini"
    overrides.write_text("[step_main]\nnumprocesses = 2\ngone = 1\n[step_gone]\nnumprocesses = 3\n[custom]\nkey = 5\n")
    status, _, err = running.says("install", running.release("one", code=DECLARES.replace("KEY", "key")))
    assert status == 0
    assert err.splitlines() == [
        f"WARNING : {overrides}:3 [step_main] gone: there is no such key any more",
        f"WARNING : {overrides}:4 [step_gone]: there is no such section any more",
    ]
    assert len(running.pids("one")) == 2
    status, _, err = running.says(
        "install", "--upgrade", running.release("one", "2", code=DECLARES.replace("KEY", "new"))
    )
    assert (status, len(running.pids("one"))) == (0, 2), err
    assert f"{overrides}:7 [custom] key: there is no such key any more" in err
    _, _, err = running.says("check", "one")
    assert "gone: there is no such key any more" in err


def test_overrides_that_are_wrong_are_errors_all_the_same(running: Site) -> None:
    overrides = running.home.config / "plugins" / "one.ini"
    overrides.write_text("[step_main]\nnumprocesses = many\n")
    assert f"{overrides}:2 [step_main] numprocesses" in running.refuses("install", running.release("one"))


def test_provided_archives_are_installed_and_upgraded_at_start(site: Site) -> None:
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    tool, user = site.release("tool"), site.release("a_user", general="requires = tool")
    for archive in (tool, user):
        shutil.copy(archive, provided)
    assert run(["mfdata", "start"]) == 0
    assert {name: one["state"] for name, one in site.listed().items()} == {"a_user": "running", "tool": "running"}
    shutil.copy(site.release("tool", "1.1"), provided)
    assert run(["mfdata", "restart"]) == 0
    assert site.versions() == {"a_user": "1.0", "tool": "1.1"}
    site.does("install", "--upgrade", site.release("tool", "1.2"))
    assert run(["mfdata", "restart"]) == 0
    assert site.versions()["tool"] == "1.2"


def test_a_provided_archive_that_is_no_good_hinders_no_other(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    (provided / "broken.plugin").write_text("no archive")
    shutil.copy(site.release("good"), provided)
    assert run(["mfdata", "start"]) == 4
    assert "broken.plugin: this is no RPM" in capfd.readouterr().err
    assert site.listed()["good"]["state"] == "running"


def test_a_dev_link_stays_before_what_is_provided(site: Site) -> None:
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    shutil.copy(site.release("one", "9.0"), provided)
    site.does("develop", site.folder / "sources" / "one")
    assert run(["mfdata", "start"]) == 0
    assert site.versions() == {"one": "dev_link"}


# -- dev-links


def test_a_dev_link_is_neither_replaced_nor_hidden(site: Site) -> None:
    archive, folder = site.release("one"), site.folder / "sources" / "one"
    before = sorted(path.name for path in folder.iterdir())
    site.does("develop", folder)
    assert f'the plugin "one" is dev-linked to {folder}' in site.refuses("install", "--upgrade", archive)
    site.does("uninstall", "one")
    assert sorted(path.name for path in folder.iterdir()) == before
    site.does("install", archive)
    assert "plugins with one name" in site.refuses("develop", folder)
    site.does("uninstall", "one")
    site.does("develop", folder)
    assert (site.home.plugins / "one").readlink() == folder


# -- checking and repairing


def test_changed_missing_and_added_files_are_told_and_brought_back(site: Site) -> None:
    (site.plugin("one") / "data").mkdir()
    for name in ("a", "b", "c", "d"):
        (site.folder / "sources/one/data" / name).write_text(name)
    site.does("install", site.release("one"))
    assert site.says("check", "one") == (0, "INFO : The plugin one is correct\n", "")
    data = site.home.plugins / "one" / "data"
    (data / "a").write_text("x")
    (data / "b").unlink()
    (data / "c").chmod(0o600)
    (data / "d").unlink()
    (data / "d").symlink_to("/etc/passwd")
    (data / "more").write_text("")
    found = json.loads(site.says("check", "--json", "one")[1])
    assert (found["changed"], found["missing"], found["added"]) == (
        ["data/a", "data/c", "data/d"],
        ["data/b"],
        ["data/more"],
    )
    status, out, err = site.says("check", "one")
    assert (status, out.splitlines()[0]) == (4, "changed  data/a")
    assert "plugins.repair one" in err
    assert "is installed" in site.does("repair")
    assert site.says("check", "one") == (0, "INFO : The plugin one is correct\n", "")
    assert site.does("repair") == "INFO : All is as it should be already\n"
    assert "no release of the plugin" in site.refuses("repair", "other")


def test_a_damaged_database_is_made_anew(site: Site) -> None:
    site.does("install", site.release("one"), site.release("two"))
    for file in (site.home.var / "rpm").iterdir():
        file.write_bytes(b"x" * 100)
    site.does("repair")
    assert sorted(site.rpm("-qa").split()) == ["one-1.0-1.noarch", "two-1.0-1.noarch"]


def test_info_tells_of_archives_and_of_releases(site: Site) -> None:
    archive = site.release("one", "1.2", "license = MIT")
    facts = json.loads(site.does("info", "--json", archive))
    assert {key: facts[key] for key in ("name", "version", "module", "license", "signature")} == {
        "name": "one", "version": "1.2", "module": "mfdata", "license": "MIT", "signature": "none",
    }  # fmt: skip
    assert facts["files"] == ["config.ini", "main.py"]
    assert "| license    | MIT" in site.does("info", archive)
    site.does("install", archive)
    installed = json.loads(site.does("info", "--json", "one"))
    assert (installed["digest"], installed["signature"]) == (facts["digest"], "none")
    assert site.does("check", archive) == "INFO : The plugin one is correct\n"


# -- interruptions


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
    monkeypatch.setattr("mfext.plugin.install.exclusive", lambda *names: exclusive(*names, timeout=0.1))
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
    monkeypatch.setattr("mfext.plugin.install._check_room", lambda *_: None)
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


# -- other users


def test_another_user_root_included_changes_nothing_and_runs_nothing_of_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.does("install", site.release("one"))
    archive, folder = site.release("one", "1.1"), site.plugin("two")
    before = _state(site.home.path)
    monkeypatch.setattr("mfext.owner.os.geteuid", lambda: site.home.path.stat().st_uid + 1)
    acts: tuple[tuple[str | Path, ...], ...] = (
        ("install", "--upgrade", archive),
        ("rollback", "one"),
        ("repair",),
        ("uninstall", "one"),
        ("develop", folder),
        ("check", "one"),
    )
    for act in acts:
        assert "this home of mfdata belongs to user" in site.refuses(*act), act
    assert _state(site.home.path) == before


def test_another_user_looks_but_does_not_end_what_was_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.does("install", site.release("one"))
    (site.home.plugins / ".transaction").mkdir()
    before = _state(site.home.path)
    monkeypatch.setattr("mfext.owner.os.geteuid", lambda: site.home.path.stat().st_uid + 1)
    status, out, err = site.says("list")
    assert (status, "| one " in out) == (0, True)
    assert "WARNING : " in err
    assert "this home of mfdata belongs to user" in err
    assert _state(site.home.path) == before


def _state(folder: Path) -> dict[str, int]:
    """When each file and folder below *folder* was changed."""
    return {str(path): path.lstat().st_ctime_ns for path in folder.rglob("*")}


# -- signatures


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The public key of a new pair; gpg has the other half."""
    gpg = shutil.which("gpg")
    if gpg is None or shutil.which("rpmsign") is None:
        if "CI" in os.environ:
            pytest.fail("gpg or rpmsign is missing")
        pytest.skip("gpg or rpmsign is missing")
    folder = tmp_path / "g"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(folder))
    parameters = (
        "Key-Type: RSA\nKey-Length: 2048\nName-Email: signer@example.org\nExpire-Date: 0\n%no-protection\n%commit\n"
    )
    subprocess.run([gpg, "--batch", "--gen-key"], input=parameters.encode(), check=True, capture_output=True)
    public = tmp_path / "signer.asc"
    exported = subprocess.run([gpg, "--armor", "--export", "signer@example.org"], check=True, capture_output=True)
    public.write_bytes(exported.stdout)
    yield public
    subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)


def test_signatures_are_made_and_required(site: Site, key: Path) -> None:
    archive = site.release("one")
    assert "it is not signed" in site.refuses("install", "--require-signature", archive)
    site.does("sign", "--key", "signer@example.org", archive)
    assert "which is not trusted here" in site.refuses("install", "--require-signature", archive)
    keys = site.home.config / "keys"
    keys.mkdir()
    shutil.copy(key, keys)
    site.does("install", "--require-signature", archive)
    assert site.listed()["one"]["signature"].startswith("trusted, key ")
    assert json.loads(site.does("info", "--json", archive))["signature"].startswith("trusted")


def _rule(site: Site) -> Path:
    """The administrator requires signatures."""
    rule = site.folder / "etc" / "mfdata" / "config.ini"
    rule.parent.mkdir(parents=True, exist_ok=True)
    rule.write_text("[plugins]\nrequire_signature = 1\n")
    return rule


def _trust(site: Site, key: Path) -> Path:
    keys = site.home.config / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(key, keys))


def test_an_administrator_requires_signatures_of_whatever_is_installed(site: Site, key: Path) -> None:
    rule = _rule(site)
    archive = site.release("one")
    expected = f"expected a signature with a trusted key, as {rule}:2 [plugins] require_signature says"
    assert expected in site.refuses("install", archive)
    assert expected in site.refuses("check", archive)
    site.does("sign", "--key", "signer@example.org", archive)
    message = site.refuses("install", archive)
    assert "which is not trusted here" in message
    assert f"gpg --armor --export {read_key(message)} > {site.home.config}/keys/" in message
    _trust(site, key)
    assert "which nobody has signed" in site.refuses("install", "--new-name", "other", archive)
    site.does("install", archive)


def read_key(message: str) -> str:
    """The number of the key that is not trusted."""
    return message.partition("with the key ")[2].partition(",")[0]


def test_what_goes_back_or_is_repaired_is_signed_too(site: Site, key: Path) -> None:
    old, new = site.release("one"), site.release("one", "1.1")
    site.does("install", old)
    site.does("sign", "--key", "signer@example.org", new)
    _trust(site, key)
    _rule(site)
    site.does("install", "--upgrade", new)
    assert "it is not signed" in site.refuses("rollback", "one")
    (site.home.plugins / "one" / "main.py").write_text("changed")
    site.does("repair")
    assert (site.home.plugins / "one" / "main.py").read_text() == GOOD
    (site.home.plugins / "one" / "main.py").write_text("changed")
    _trust(site, key).unlink()
    assert "which is not trusted here" in site.refuses("repair")
    assert site.versions() == {"one": "1.1"}


def test_what_is_provided_is_signed_too(site: Site, key: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _rule(site)
    provided = site.folder / "etc" / "mfdata" / "plugins"
    provided.mkdir(parents=True)
    unsigned, signed = site.release("one"), site.release("two")
    site.does("sign", "--key", "signer@example.org", signed)
    for archive in (unsigned, signed):
        shutil.copy(archive, provided)
    _trust(site, key)
    run(["mfdata", "start"])
    assert "one-1.0-1.metwork.mfdata.plugin: it is not signed" in capfd.readouterr().err
    assert site.versions() == {"two": "1.0"}


def test_what_was_changed_after_it_was_signed_is_refused(site: Site, key: Path) -> None:
    archive = site.release("one")
    site.does("sign", "--key", "signer@example.org", archive)
    keys = site.folder / "etc" / "mfdata" / "keys"
    keys.mkdir(parents=True)
    shutil.copy(key, keys)
    data = bytearray(archive.read_bytes())
    data[read_archive(archive).header.size - 20] ^= 1
    archive.write_bytes(data)
    assert "damaged" in site.refuses("install", archive)
    assert site.listed() == {}


def test_a_key_that_is_not_there_signs_nothing(site: Site, key: Path) -> None:
    archive = site.release("one")
    before = archive.read_bytes()
    assert "it cannot be signed" in site.refuses("sign", "--key", "nobody@example.org", archive)
    assert archive.read_bytes() == before
    assert key.is_file()


# -- archives that somebody made to do harm


SPEC = """
Name: {name}
Version: 1.0
Release: 1
Summary: x
License: x
BuildArch: noarch
AutoReqProv: no
{head}
%description
x
%install
mkdir -p %{{buildroot}}/metwork_plugin/evil
printf '[general]\\nname = evil\\nversion = 1.0\\n[step_main]\\n' > %{{buildroot}}/metwork_plugin/evil/config.ini
echo 'raise SystemExit' > %{{buildroot}}/metwork_plugin/evil/main.py
{install}
{scripts}
%files
%defattr(-, root, root, -)
{files}
"""
HEAD = "Prefix: /metwork_plugin\nProvides: metwork_plugin(evil) = 1.0-1\nRequires: metwork-mfdata"
FILES = "/metwork_plugin/evil"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"head": HEAD + "\nObsoletes: one"}, "it has an Obsoletes"),
        ({"head": HEAD + "\nConflicts: one"}, "it has a Conflicts"),
        ({"head": HEAD + "\nEpoch: 7"}, "it has an Epoch"),
        ({"head": HEAD + "\nProvides: metwork_plugin(one) = 9-9"}, "it claims to be something else too"),
        ({"head": HEAD.replace("mfdata", "mfserv")}, "it is a plugin of mfserv; expected one of mfdata"),
        ({"head": HEAD.replace("Prefix: /metwork_plugin", "")}, "its prefix is missing"),
        ({"head": HEAD.replace("Requires: metwork-mfdata", "")}, "it does not say for which module it is"),
        ({"head": HEAD + "\nRequires: libfoo.so.1"}, "it requires libfoo.so.1, which is none of MetWork's"),
        ({"name": "other"}, 'it does not say that it is the plugin "other"'),
        ({"scripts": "%pre\ntouch /evil"}, "it has a script that runs at installation"),
        ({"scripts": "%post -p <lua>\nprint(1)"}, "it has a script that runs at installation"),
        ({"scripts": "%preun\ntrue"}, "it has a script that runs at installation"),
        ({"scripts": "%pretrans -p <lua>\nprint(1)"}, "it has a script that runs at installation"),
        ({"scripts": "%triggerin -- bash\ntrue"}, "it has a trigger"),
        ({"scripts": "%filetriggerin -- /usr\ntrue"}, "it has a trigger"),
        (
            {"install": "mkdir %{buildroot}/evil; touch %{buildroot}/evil/x", "files": FILES + "\n/evil"},
            "a file outside the plugin's folder: /evil",
        ),
        ({"install": "ln -s /etc %{buildroot}/metwork_plugin/evil/x"}, 'a link out of the plugin, to "/etc"'),
        ({"install": "ln -s ../one %{buildroot}/metwork_plugin/evil/x"}, 'a link out of the plugin, to "../one"'),
        ({"install": "chmod 4755 %{buildroot}/metwork_plugin/evil/main.py"}, "a setuid, setgid or sticky bit"),
        ({"install": "chmod 666 %{buildroot}/metwork_plugin/evil/main.py"}, "writable for everybody"),
        ({"install": "mkfifo %{buildroot}/metwork_plugin/evil/x"}, "neither a file nor a folder nor a link"),
        ({"install": "touch %{buildroot}/metwork_plugin/evil/.installed"}, "a file that only the installation makes"),
        (
            {"install": "sed -i s/evil/one/ %{buildroot}/metwork_plugin/evil/config.ini"},
            'its config.ini says that it is the plugin "one"; expected "evil"',
        ),
        ({"install": "rm %{buildroot}/metwork_plugin/evil/config.ini"}, "this is not a plugin"),
    ],
)
def test_an_archive_that_was_made_to_do_harm_is_refused_and_leaves_nothing(
    site: Site, parts: dict[str, str], message: str
) -> None:
    evil = _built(site.folder / "evil", parts)
    before = sorted(site.folder.iterdir())
    assert message in site.refuses("install", "--upgrade", evil)
    assert list(site.home.plugins.iterdir()) == list((site.home.var / "releases").iterdir()) == []
    assert [path for path in site.folder.iterdir() if path.name != "homes"] == before
    assert not Path("/evil").exists()
    assert not Path("/metwork_plugin").exists()


def test_a_harmless_archive_made_by_hand_is_installed(site: Site) -> None:
    site.does("install", _built(site.folder / "evil", {}))
    assert site.versions() == {"evil": "1.0"}


def _built(folder: Path, parts: dict[str, str]) -> Path:
    """The archive made of the recipe above with *parts* in place of what is as it should be."""
    folder.mkdir()
    all_parts = {"name": "evil", "head": HEAD, "install": "", "scripts": "", "files": FILES, **parts}
    (folder / "evil.spec").write_text(SPEC.format(**all_parts))
    command = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {folder}", str(folder / "evil.spec")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    made = list(folder.rglob("*.rpm"))
    assert made, done.stderr
    return made[0].rename(folder / "evil.plugin")
