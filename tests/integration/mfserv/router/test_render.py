"""HAProxy on this machine: what it says to a hundred and twenty apps, and what is said when it is not the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mfext.errors import PluginError, ServiceUnavailable
from mfext.testing import temporary_home
from mfserv.app import App
from mfserv.module import MODULE
from mfserv.router import keeper
from mfserv.router.activate import check, refusal
from mfserv.router.render import Rendered, render
from tests.unit.mfserv.apps import app, config


@pytest.fixture
def many() -> list[App]:
    settings: list[dict[str, Any]] = [
        {"workers": 4, "rate": "60/60s", "auth": "required"},
        {"app": "", "upstream": ("http://127.0.0.1:1",)},
        {"app": "", "cmd": "serve", "hosts": ("data.example", "other.example")},
        {"async_": "allow", "cors_origins": ("*",), "health": "/health"},
    ]
    return [app(f"plugin_{one}", f"/a{one}", f"/b/{one}", **settings[one % 4]) for one in range(120)]


def test_a_hundred_and_twenty_apps_are_taken(tmp_path: Path, many: list[App]) -> None:
    clients = {f"client_{one}": {"keys": f"key-{one}", "rate": f"{one + 1}/60s"} for one in range(120)}
    whole = config(limits={"address_rate": "600/60s"}, class_slow={"order": "30", "share": "20"}, **clients)
    check(temporary_home(tmp_path, "mfserv"), whole, many)
    text = render(whole, many).files["haproxy.cfg"]
    assert text.count("\nbackend app.") == 120
    assert text.count("\nbackend lane.") == 180  # two classes with a share, of all that is not elsewhere


def test_of_many_apps_the_one_to_blame_is_named(tmp_path: Path, many: list[App]) -> None:
    bad = app("bad", app="", upstream=("http://no such place:80",))
    with pytest.raises(PluginError, match=r"/plugins/bad/config.ini: the router refuses it: .*'such'"):
        check(temporary_home(tmp_path, "mfserv"), config(), [*many, bad])


def fake(folder: Path, says: str) -> None:
    program = folder / "haproxy"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ("HA-Proxy version 1.8.27 2020/11/06", "the version of HAProxy is 1.8"),
        ("HAProxy version 2.4.22-f8e3218 2023/02/14", "the version of HAProxy is 2.4"),
        ("something else", "the version of HAProxy is none that could be told"),
    ],
)
def test_an_haproxy_that_is_too_old_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, found: str
) -> None:
    fake(tmp_path, says)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ServiceUnavailable) as raised:
        refusal(None, tmp_path / "haproxy.cfg")
    assert raised.value.message.startswith(f"{tmp_path}/haproxy: {found}; expected 2.6 or later. Install the package")
    assert "tools/system-packages serv" in raised.value.message


@pytest.mark.parametrize("version", ["2.6.12-1+deb12u4", "2.10.1", "3.2.0"])
def test_a_later_haproxy_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    fake(tmp_path, f"HAProxy version {version} 2026/01/01 - https://haproxy.org/")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert keeper.program() == str(tmp_path / "haproxy")


def test_a_machine_without_haproxy_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(keeper, "_PLACES", (str(tmp_path),))
    with pytest.raises(
        ServiceUnavailable, match=r"HAProxy is not installed\. Install the package haproxy, 2.6 or later"
    ):
        keeper.program()


def test_without_haproxy_a_plugin_is_not_correct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(keeper, "_PLACES", (str(tmp_path),))
    (missing,) = MODULE.missing(temporary_home(tmp_path, "mfserv"), config(), [])
    assert missing.message.startswith("HAProxy is not installed. Install the package haproxy")


def test_an_haproxy_without_its_exporter_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render(config(), [app("one")])
    text = whole.files["haproxy.cfg"].replace("feature(PROMEX)", "feature(NO_SUCH_THING)")
    monkeypatch.setattr("mfserv.router.activate.render", lambda *_: Rendered({**whole.files, "haproxy.cfg": text}))
    check(temporary_home(tmp_path, "mfserv"), config(), [app("one")])
