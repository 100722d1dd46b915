"""Destinations that are configured: those that name a step which is not there (pure).

What the rules say is checked with the rules; these are the others: where files go that came in, that a step made, that
failed, that no rule wants. They are no fault, since the step may come later, but somebody should know.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from mfdata.config import Incoming, InternalPlugins, StepConfig
from mfext.errors import ConfigError, nearest
from mfext.section import FreeSection

if TYPE_CHECKING:
    from mfext.plugin.manifest import Plugin
    from mfext.section import Config

_KEEPING = ("keep", "drop")
#: A key of [custom] that has such a value means a step; steps of plugins may mean anything else by it.
_STEP = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_]+\*?")
_DIVERTS = "move:"


def unknown_destinations(config: Config, plugins: Sequence[Plugin]) -> list[ConfigError]:
    """What *config*, of the module, and *plugins* name as a step that none of *plugins* has."""
    steps = {f"{plugin.name}/{name[5:]}" for plugin in plugins for name in plugin.config.names("step_*")}
    found = [_fault(name, where, steps) for name, where in _of_module(config) if name not in steps]
    for plugin in plugins:
        required = required_plugins(plugin.general.requires)
        found += [
            _fault(name, where, steps)
            for name, where in _of_plugin(plugin)
            if name not in steps and name.partition("/")[0] not in required
        ]
    return found


def required_plugins(requires: Sequence[str]) -> frozenset[str]:
    """The names in ``[general] requires`` without their versions."""
    return frozenset(re.split(r"[\s<>=]", text.strip(), maxsplit=1)[0] for text in requires)


def _of_module(config: Config) -> Iterator[tuple[str, str]]:
    yield config.section("incoming", Incoming).destination, _where(config, "incoming", "destination")
    internal = config.section("internal_plugins", InternalPlugins)
    if internal.switch_no_match_policy not in _KEEPING:
        yield internal.switch_no_match_policy, _where(config, "internal_plugins", "switch_no_match_policy")


def _of_plugin(plugin: Plugin) -> Iterator[tuple[str, str]]:
    config = plugin.config
    named = config.section("custom", FreeSection).values.get("destination", "") if config.names("custom") else ""
    if _STEP.fullmatch(named):
        yield named.removesuffix("*"), _where(config, "custom", "destination")
    for section in config.names("step_*"):
        policy = config.section(section, StepConfig).failure_policy
        if policy.startswith(_DIVERTS):
            yield policy.removeprefix(_DIVERTS), _where(config, section, "failure_policy")


def _where(config: Config, section: str, key: str) -> str:
    return f"{config.origin(section, key)} [{section}] {key}"


def _fault(name: str, where: str, steps: Collection[str]) -> ConfigError:
    return ConfigError(f'there is no step "{name}"', where=where, mend=nearest(name, sorted(steps)))
