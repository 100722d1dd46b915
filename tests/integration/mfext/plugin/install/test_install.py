"""Released plugins in a home: installed, changed, taken out; one version after the other."""

from __future__ import annotations

from mfext.commands.cli import run
from tests.integration.mfext.conftest import Site

BAR = "#" * 33
#: Starts well and ends at once.
CRASHES = "raise SystemExit(3)\n"


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
