from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mfext.environment import Home
from mfext.errors import PluginError, Several, raise_all
from mfext.lifecycle.last_good import Accepted, accept, in_force, remember, remembered, remembered_processes
from mfext.plugin.installed import Installed, survey
from mfext.plugin.manifest import Plugin
from mfext.supervision.process import Process
from mfext.testing import temporary_home
from tests.unit.mfext.plugin.plugins import NO_CONFIG, made, module, process

BROKEN = "[job_main]\ncunt = 2\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return temporary_home(tmp_path)


def found(home: Home) -> list[Installed]:
    return survey(home, module(), NO_CONFIG)


def plugins(home: Home) -> dict[str, Plugin]:
    return {one.name: one.plugin for one in found(home) if one.plugin}


def names(accepted: Accepted) -> list[str]:
    return [plugin.name for plugin in accepted.plugins]


def fine(_: Sequence[Plugin]) -> None:
    pass


def nothing() -> dict[str, Plugin]:
    return {}


def never() -> dict[str, Plugin]:
    raise AssertionError("nothing is wrong, so nobody needs to know")


def needs(*pairs: tuple[str, str]) -> Callable[[Sequence[Plugin]], None]:
    """A check that refuses each plugin whose need, the second name, is not there."""

    def check(plugins: Sequence[Plugin]) -> None:
        present = {plugin.name for plugin in plugins}
        lacking = [(name, need) for name, need in pairs if name in present and need not in present]
        known = f"Known: {', '.join(sorted(present))}"
        raise_all([PluginError(f"{name} needs {need}", mend=known) for name, need in lacking])

    return check


def test_plugins_that_are_right_are_accepted_without_a_look_back(home: Home) -> None:
    made(home.plugins / "b")
    made(home.plugins / "a")
    accepted = accept(found(home), fine, never)
    assert names(accepted) == ["a", "b"]
    assert accepted.refused == {}


def test_a_broken_plugin_is_left_out_and_named(home: Home) -> None:
    made(home.plugins / "a")
    made(home.plugins / "b", more=BROKEN)
    accepted = accept(found(home), fine, nothing)
    assert names(accepted) == ["a"]
    assert 'Did you mean "count"?' in accepted.refused["b"].message


def test_a_broken_plugin_goes_on_as_it_was_accepted_last(home: Home) -> None:
    made(home.plugins / "a")
    before = plugins(home)
    (home.plugins / "a/config.ini").write_text(f"[general]\nname = a\n{BROKEN}")
    accepted = accept(found(home), fine, lambda: before)
    assert accepted.plugins == (before["a"],)
    assert list(accepted.refused) == ["a"]


def test_what_was_accepted_last_is_of_no_use_when_its_folder_is_another(home: Home, tmp_path: Path) -> None:
    (home.plugins / "a").symlink_to(made(tmp_path / "old/a"))
    before = plugins(home)
    (home.plugins / "a").unlink()
    (home.plugins / "a").symlink_to(made(tmp_path / "new/a", more=BROKEN))
    assert names(accept(found(home), fine, lambda: before)) == []


def test_of_plugins_that_do_not_go_together_only_the_faulty_one_is_refused(home: Home) -> None:
    for name in ("a", "b", "c"):
        made(home.plugins / name)
    accepted = accept(found(home), needs(("b", "missing"), ("c", "a")), nothing)
    assert names(accepted) == ["a", "c"]
    assert accepted.refused["b"].found == "b needs missing"


def test_a_plugin_whose_need_is_refused_is_refused_too(home: Home) -> None:
    for name in ("a", "b", "c"):
        made(home.plugins / name)
    accepted = accept(found(home), needs(("a", "b"), ("b", "missing")), nothing)
    assert names(accepted) == ["c"]
    assert sorted(accepted.refused) == ["a", "b"]


def test_all_faults_that_one_plugin_makes_are_told(home: Home) -> None:
    made(home.plugins / "a")
    accepted = accept(found(home), needs(("a", "x"), ("a", "y")), nothing)
    assert isinstance(accepted.refused["a"], Several)
    assert accepted.refused["a"].message == "a needs x. Known: a\na needs y. Known: a"


def test_of_two_plugins_in_each_others_way_the_newer_is_refused(home: Home) -> None:
    made(home.plugins / "b")
    before = plugins(home)
    made(home.plugins / "a")

    def check(plugins: Sequence[Plugin]) -> None:
        if len(plugins) > 1:
            raise PluginError("a and b want the same")

    assert names(accept(found(home), check, lambda: before)) == ["b"]


def test_a_fault_for_which_no_plugin_is_to_blame_is_raised(home: Home) -> None:
    made(home.plugins / "a")

    def check(_: Sequence[Plugin]) -> None:
        raise PluginError("the module itself is wrong")

    with pytest.raises(PluginError, match="the module itself is wrong"):
        accept(found(home), check, nothing)


def test_the_processes_of_a_plugin_that_goes_on_are_left_as_they_run(home: Home) -> None:
    made(home.plugins / "a")
    made(home.plugins / "b")
    before = plugins(home)
    as_they_run = [Process("a.job_main", ("old",), home.path, "a"), Process("b.job_main", ("old",), home.path, "b")]
    (home.plugins / "a/config.ini").write_text(f"[general]\nname = a\n{BROKEN}")
    accepted = accept(found(home), fine, lambda: before)
    now = process(home, NO_CONFIG, accepted.plugins)
    commands = {one.name: one.command for one in in_force(now, accepted, lambda: as_they_run)}
    assert commands == {"a.job_main": ("old",), "b.job_main": ("{PYTHON}", "main.py")}


def test_what_is_remembered_comes_back(home: Home) -> None:
    made(home.plugins / "a")
    kept = plugins(home)
    processes = process(home, NO_CONFIG, list(kept.values()))
    remember(home, list(kept.values()), processes)
    again = remembered(home)
    assert list(again) == ["a"]
    assert again["a"].config.rows() == kept["a"].config.rows()
    assert list(remembered_processes(home)) == processes


def test_what_is_remembered_is_for_its_owner_only(home: Home) -> None:
    remember(home, [], [])
    assert (home.var / "accepted").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04N."])
def test_a_memory_that_cannot_be_read_is_none(home: Home, content: bytes) -> None:
    (home.var / "accepted").write_bytes(content)
    assert remembered(home) == {}
    assert list(remembered_processes(home)) == []


def test_what_an_earlier_version_remembered_is_read_although_its_classes_have_moved(home: Home) -> None:
    made(home.plugins / "one")
    kept = home.var / "accepted"
    remember(home, list(plugins(home).values()), [Process("one.main", ("true",), home.path, "one")])
    data = kept.read_bytes()
    old = data
    for now, then in (
        (b"mfext.supervision.process", b"mfext.process"),
        (b"mfext.configuration.inifile", b"mfext.configfile"),
    ):
        # A short text is written as its length and its bytes.
        old = old.replace(b"\x8c" + bytes([len(now)]) + now, b"\x8c" + bytes([len(then)]) + then)
    old = old[:2] + old[11:]  # without the frame in front, whose length is another now
    assert b"mfext.process" in old
    kept.write_bytes(old)
    assert list(remembered(home)) == ["one"]
    assert [one.name for one in remembered_processes(home)] == ["one.main"]
