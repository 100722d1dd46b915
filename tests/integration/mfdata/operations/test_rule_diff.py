"""``mfdata.diff-rules``: traces, an archive and two sets of rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mfdata.module import MODULE
from mfdata.steps.archive import tags_text
from mfdata.storage.places import Places
from mfdata.storage.tags import first_tags, new_uid
from mfdata.storage.trace import Trace
from mfdata.switch.switch import published
from mfext.commands.cli import run
from mfext.configuration.module_config import module_config
from mfext.environment import Home
from mfext.plugin.manifest import load_plugin
from mfext.testing import temporary_home

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
ARCHIVE = "[switch_rules:fnmatch:first.core.original_basename]\n*.obs = main\n"
BY_CONTENT = "switch_logical_condition = x['latest.switch.main.system_magic'].startswith(b'PNG image')\n"


def plugin(folder: Path, more: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.ini").write_text(f"[general]\nname = {folder.name}\n[step_main]\n{more}")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home where one rule is in force."""
    monkeypatch.setenv("METWORK_HOME", str(tmp_path))
    monkeypatch.setenv("MFMODULE", "MFDATA")
    made = temporary_home(tmp_path)
    archive = load_plugin(plugin(made.plugins / "archive", ARCHIVE), MODULE, made)
    published(module_config(MODULE, made), [archive]).write(Places(made))
    return made


def came(home: Home, name: str, content: bytes | None = None) -> str:
    """The uid of a file that came in, and that is archived when its *content* is said."""
    uid = new_uid()
    Trace(home, "observer").write({"event": "accepted", "uid": uid, "name": name, "directory": "/var/in/radar"})
    if content is not None:
        place = home.path / "archive" / uid
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        place.with_name(f"{uid}.tags").write_text(tags_text(first_tags(uid, name.encode(), b"radar")))
        Trace(home, "step.archive.main").write({"event": "done", "uid": uid, "name": name, "to": [str(place)]})
    return uid


def diff(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert run(["mfdata", "diff-rules", "--json", *map(str, arguments)]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_with_the_rules_in_force_nothing_changes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    came(home, "a.obs")
    came(home, "a.png")
    found = diff(capsys)
    assert (found["files"], found["same"], found["changed"], found["unknown"]) == (2, 2, [], [])


def test_changed_rules_on_disk_tell_what_would_change(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    uid = came(home, "a.obs")
    came(home, "a.png")
    plugin(home.plugins / "archive", ARCHIVE.replace("*.obs", "*.png"))
    found = diff(capsys)
    changed = {row["name"]: (row["gains"], row["loses"]) for row in found["changed"]}
    assert changed == {
        "a.obs": (["no_match: keep"], ["archive/main"]),
        "a.png": (["archive/main"], ["no_match: keep"]),
    }
    assert uid in [row["uid"] for row in found["changed"]]


def test_a_plugin_is_looked_at_as_if_it_were_installed(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came(home, "a.obs", PNG)
    came(home, "b.obs", b"text")
    came(home, "c.obs")
    found = diff(capsys, plugin(tmp_path / "image", BY_CONTENT))
    assert [(row["name"], row["gains"]) for row in found["changed"]] == [("a.obs", ["image/main"])]
    assert [(row["name"], row["unknown"]) for row in found["unknown"]] == [("c.obs", ["image/main"])]
    assert found["content_not_at_hand"] == 1
    assert not (home.plugins / "image").exists()


def test_what_was_made_of_a_file_tells_what_the_switch_saw(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = came(home, "a.obs")
    tags = first_tags(uid, b"a.obs", b"radar") | {
        "1.switch.main.enter_step": b"then",
        "latest.core.uid": f"{uid}.1".encode(),
        "latest.switch.main.system_magic": b"PNG image data",
    }
    place = home.path / "a.jpg"
    place.write_bytes(b"other content")
    place.with_name("a.jpg.tags").write_text(tags_text(tags))
    made = {"event": "made", "uid": f"{uid}.1", "name": "a.jpg", "parent": uid, "to": [str(place)]}
    Trace(home, "step.convert.main").write(made)
    image = plugin(tmp_path / "image", BY_CONTENT)
    assert diff(capsys, image)["changed"][0]["gains"] == ["image/main"]
    # Twice through the switch: which of them it saw so cannot be told.
    place.with_name("a.jpg.tags").write_text(tags_text(tags | {"3.switch.main.enter_step": b"then"}))
    assert diff(capsys, image)["unknown"][0]["unknown"] == ["image/main"]


def test_the_name_of_the_incoming_directory_is_known(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came(home, "a.obs")
    radar = "[switch_rules:equal:first.core.original_dirname]\nradar = main\n"
    assert diff(capsys, plugin(tmp_path / "radar", radar))["changed"][0]["gains"] == ["radar/main"]


def test_only_the_last_files_are_looked_at(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        came(home, f"{number}.txt")
    plugin(home.plugins / "archive", ARCHIVE.replace("*.obs", "*.txt"))
    assert [row["name"] for row in diff(capsys, "--last", 2)["changed"]] == ["3.txt", "4.txt"]


def test_a_person_reads_one_line_a_file(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    came(home, "a.obs")
    assert run(["mfdata", "diff-rules", str(plugin(tmp_path / "image", BY_CONTENT))]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith(" a.obs ?image/main")
    assert second == "of 1 files 0 would go where they go now, 0 elsewhere; of 1 it cannot be told"
    assert third.startswith("of 1 files the content is not at hand")


def test_rules_that_are_wrong_are_an_error(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    came(home, "a.obs")
    assert run(["mfdata", "diff-rules", str(plugin(tmp_path / "bad", "switch_logical_condition = open('x')\n"))]) == 3
    assert "bad/config.ini:4" in capsys.readouterr().err


def test_without_rules_in_force_there_is_nothing_to_compare(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (Places(home).rules / "rules.json").unlink()
    assert run(["mfdata", "diff-rules"]) == 1
    assert "mfdata.start" in capsys.readouterr().err
