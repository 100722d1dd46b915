"""Apps for tests of what is decided without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mfext.configuration.inifile import RawConfig, RawSection, Value
from mfext.section import Config, Schema
from mfserv.app import App
from mfserv.config import MODULE_SECTIONS, AppConfig


def app(plugin: str, *routes: str, hosts: tuple[str, ...] = (), **settings: Any) -> App:
    """An app with the name main."""
    settings = {"app": "main:app", "interface": "asgi", **settings}
    config = AppConfig(routes=routes, virtualhosts=hosts, **settings)
    return App(plugin, "main", Path("/plugins") / plugin, config, f"{plugin}/config.ini:3 [app_main] routes")


def config(**sections: dict[str, str]) -> Config:
    """The module's configuration."""
    raw = RawConfig("config.ini")
    for name, values in sections.items():
        raw[name] = RawSection(name, "config.ini:1", {key: Value(text, "config.ini:2") for key, text in values.items()})
    return Schema(MODULE_SECTIONS).load(raw, {})
