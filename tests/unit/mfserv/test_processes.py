"""What runs for a plugin: workers and daemons, their environments, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mfext.plugin.manifest import Plugin, load_plugin
from mfserv.app import apps_of
from mfserv.module import MODULE
from mfserv.processes import plugin_processes, process_faults


def plugin_with(place: Path, text: str) -> Plugin:
    folder = place / "weather"
    folder.mkdir()
    (folder / "config.ini").write_text(f"[general]\nname = weather\nsummary = Weather\n\n{text}")
    return load_plugin(folder, MODULE, None)


def faults_of(plugin: Plugin) -> list[str]:
    return [error.message for error in process_faults(plugin, {app.name: app for app in apps_of([plugin])})]


APP = "[app_main]\napp = main:app\nworkers = 2\n"


def test_each_app_and_daemon_has_the_environment_of_the_plugin_and_its_own(tmp_path: Path) -> None:
    plugin = plugin_with(
        tmp_path,
        f"{APP}[extra_daemon_filler]\ncmd = {{PYTHON}} fill.py {{plugin_name}}\n"
        "[environment]\nTZ = UTC\nMODEL = arome\n[environment_filler]\nMODEL = arpege\n",
    )
    *workers, filler = plugin_processes(plugin, apps_of([plugin]))
    assert [(one.name, one.environment) for one in workers] == [
        (f"app.weather.main.{slot}", {"TZ": "UTC", "MODEL": "arome"}) for slot in (0, 1)
    ]
    assert (filler.name, filler.environment) == ("extra_daemon.weather.filler", {"TZ": "UTC", "MODEL": "arpege"})
    assert filler.command[1:] == ("fill.py", "weather")
    assert faults_of(plugin) == []


def test_a_worker_is_told_who_it_is(tmp_path: Path) -> None:
    plugin = plugin_with(tmp_path, "[app_main]\ncmd = serve --port {PORT} --base {ROUTE}\n")
    (worker,) = plugin_processes(plugin, apps_of([plugin]))
    told = json.loads(worker.command[3])["values"]
    assert {**told, "VERSION": ""} == {
        "PLUGIN": "weather",
        "APP": "main",
        "SLOT": "0",
        "ROUTE": "/weather",
        "VERSION": "",
    }
    assert told["VERSION"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[app_main]\ncmd = serve {SOCKT}\n", r"\{SOCKT\} stands for nothing.*SOCKET"),
        ("[app_main]\ncmd = serve {SOCKET} {PORT}\n", "exclude each other"),
        ("[app_main]\ncmd = serve 'it\n", "config.ini:6.*Close the quote"),
        (f"{APP}[environment_mian]\nA = b\n", 'no app or daemon "mian".*main'),
        (f"{APP}[environment]\nMETWORK_HOME = b\n", '"METWORK_HOME" cannot be set'),
        (f"{APP}[environment]\nA-B = c\n", '"A-B" cannot be set'),
        (f"{APP}[extra_daemon_filler]\ncmd = fill 'it\n", "extra_daemon_filler.*Close the quote"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    (fault,) = faults_of(plugin_with(tmp_path, text))
    assert re.search(said, fault, re.DOTALL)


def test_workers_and_daemons_have_every_limit(tmp_path: Path) -> None:
    limits = "rlimit_stack = 1000000\nrlimit_fsize = 5\nmemory_max = 100\ncpu_max = 0.5\ntasks_max = 9\n"
    plugin = plugin_with(tmp_path, f"[app_main]\napp = main:app\n{limits}[extra_daemon_filler]\n{limits}")
    for process in plugin_processes(plugin, apps_of([plugin])):
        assert process.rlimits == {"as": 0, "nofile": 0, "stack": 1_000_000, "fsize": 5}
        assert process.cgroup == {"memory_max": 100, "cpu_max": 0.5, "cpu_weight": 0, "tasks_max": 9}
