"""mfdata: configure and execute custom actions on incoming files.

The path of a file, in the order in which to read the sources::

    intake/observer.py       sees a complete file, gives it an identity and offers it to the first queue
    queue/protocol.py        holds it; queue/local.py is the engine: directories and rename
    worker/worker.py         the loop of every step process: claim, run, decide, settle
    switch/switch.py         a step like any other: switch/identify.py and switch/rules.py say which steps want the file
    step.py                  what plugins extend; outcome.py decides what its answer means
    delivery/transaction.py  hands over to the next queues, once per destination, and the file is back at
                             queue/protocol.py

Beside the path: recovery/recovery.py, recovery/housekeeping.py, quarantine/quarantine.py, storage/trace.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mfdata.config import MODULE_SECTIONS, PLUGIN_SECTIONS, Incoming, InternalPlugins, Safety
from mfdata.metrics import METRICS
from mfext.environment import Home
from mfext.errors import MetworkError, raise_all
from mfext.module import Module, StatusRow
from mfext.section import Config

if TYPE_CHECKING:
    import click

    from mfext.doctor import Finding
    from mfext.metrics.metric import Sample
    from mfext.plugin.manifest import Plugin
    from mfext.supervision.process import Process

_BUILTIN = Path(__file__).parent / "plugins"


def _folders(_config: Config) -> list[Path]:
    places = ("in", "in/incoming", "work", "delayed", "quarantine", "tags", "run/rules")
    return [Path("var", name) for name in places]


def _builtin_plugins(config: Config) -> list[Path]:
    internal = config.section("internal_plugins", InternalPlugins)
    wanted = {
        "switch": internal.install_switch,
        "ftp_receiver": internal.install_ftp_receiver,
        "http_receiver": internal.install_http_receiver,
    }
    return [_BUILTIN / name for name, is_wanted in wanted.items() if is_wanted]


def _processes(home: Home, config: Config, plugins: Sequence[Plugin]) -> list[Process]:
    from mfdata.processes import processes

    return processes(home, config, plugins)


def _check(home: Home, config: Config, plugins: Sequence[Plugin]) -> None:
    from mfdata.intake.directories import directories_of
    from mfdata.processes import processes_of
    from mfdata.storage.places import Places
    from mfdata.switch.switch import published

    errors: list[MetworkError] = []
    for plugin in plugins:
        try:
            list(processes_of(plugin, config))
        except MetworkError as error:
            errors.append(error)
    raise_all(errors)
    directories_of(Places(home), config, plugins)
    published(config, plugins).compiled()


def _missing(_home: Home, config: Config, plugins: Sequence[Plugin]) -> Sequence[MetworkError]:
    from mfdata.switch.identify import Identifier, Unidentified
    from mfdata.switch.switch import identifying_rule, published
    from mfext.errors import ServiceUnavailable

    rule = identifying_rule(published(config, plugins).rules)
    if rule is not None:
        try:
            Identifier().open()
        except Unidentified as error:
            return [ServiceUnavailable(f"a rule asks what a file is: {error.found}", where=rule.where, mend=error.mend)]
    return []


def _examine(home: Home, config: Config, plugins: Sequence[Plugin]) -> Iterable[Finding]:
    from mfdata.operations.examine import examine

    return examine(home, config, plugins)


def _check_plugin(_home: Home, _config: Config, plugin: Plugin, _others: Sequence[Plugin]) -> Sequence[MetworkError]:
    from mfdata.switch.rule_cases import case_faults

    return case_faults(plugin)


def _publish(home: Home, config: Config, plugins: Sequence[Plugin]) -> None:
    from mfdata.switch.publish import publish

    publish(home, config, plugins)


def _waiting(home: Home, _config: Config, plugin: str) -> Sequence[str]:
    from mfdata.operations.uninstall import waiting

    return [f"{count} file(s) wait for {step}" for step, count in waiting(home, plugin).items()]


def _before_uninstall(home: Home, config: Config, plugin: str, move_to: str, to_quarantine: bool) -> None:
    from mfdata.operations.uninstall import before_uninstall

    before_uninstall(home, config, plugin, move_to, to_quarantine)


def _after_uninstall(home: Home, config: Config, plugin: str, move_to: str, to_quarantine: bool) -> None:
    from mfdata.operations.uninstall import after_uninstall

    after_uninstall(home, config, plugin, move_to, to_quarantine)


def _warnings(_home: Home, config: Config, plugins: Sequence[Plugin]) -> Sequence[MetworkError]:
    from mfdata.delivery.destinations import unknown_destinations
    from mfdata.switch.switch import rules_of, slow_rules

    found: list[MetworkError] = [*unknown_destinations(config, plugins)]
    for plugin in plugins:
        with suppress(MetworkError, ValueError):  # rules that cannot be read are a fault, and told as such
            found += slow_rules(rules_of(plugin))
    return found


def _status(home: Home, config: Config, plugins: Sequence[Plugin]) -> Sequence[StatusRow]:
    from mfdata.delivery.destinations import unknown_destinations
    from mfdata.intake.backpressure import pause
    from mfdata.intake.directories import directories_of
    from mfdata.operations.backlog import put_aside, put_aside_text
    from mfdata.operations.crashes import deaths
    from mfdata.operations.in_progress import in_hand
    from mfdata.operations.stale import left_over
    from mfdata.operations.stalled import held_up
    from mfdata.storage.places import Places
    from mfext.circuit_breaker import open_breakers

    names = {plugin.name for plugin in plugins}
    directories = [one.path for one in directories_of(Places(home), config, plugins)]
    breakers = [one for one in open_breakers(home) if one["step"].partition("/")[0] in names]
    refused = [one for one in breakers if one.pop("is_refused")]
    away = [one for one in breakers if one not in refused]
    left = left_over(directories, config.section("incoming", Incoming).ignore)
    crashes = deaths(home, config.section("safety", Safety).max_crashes)
    aside = put_aside(Places(home))
    is_quarantined = any(row["state"] == "quarantined" for row in aside)
    unknown = [{"where": one.where, "reason": one.found} for one in unknown_destinations(config, plugins)]
    return (
        StatusRow("put_aside", "Files put aside", aside, list(map(put_aside_text, aside)), is_trouble=is_quarantined),
        StatusRow("in_hand", "Files in hand for more than a second", in_hand(home)),
        StatusRow("deaths", "Workers that died on a file in the last ten minutes", crashes, is_trouble=True),
        StatusRow("left", "Left in incoming directories for more than a minute", left, is_trouble=True),
        StatusRow("held_up", "Steps that cannot go on with a file", held_up(home), is_trouble=True),
        StatusRow("pause", "Intake pauses", [found] if (found := pause(home)) else [], is_trouble=True),
        StatusRow("unknown", "Destinations that are not there", unknown, is_trouble=True),
        StatusRow("away", "Machines that do not answer", away, is_trouble=True),
        StatusRow("refused", "Machines that answer, with a fault to be mended", refused, is_trouble=True),
    )


def _samples(home: Home, _config: Config) -> Iterable[Sample]:
    from mfdata.operations.backlog_metrics import samples

    return samples(home)


def _commands() -> Sequence[click.Command]:
    from mfdata.commands.files import COMMANDS

    return COMMANDS


MODULE = Module(
    name="mfdata",
    summary="Custom actions on incoming files.",
    schema=MODULE_SECTIONS,
    plugin_schema=PLUGIN_SECTIONS,
    folders=_folders,
    builtin_plugins=_builtin_plugins,
    processes=_processes,
    check=_check,
    check_plugin=_check_plugin,
    missing=_missing,
    examine=_examine,
    publish=_publish,
    commands=_commands,
    warnings=_warnings,
    status=_status,
    metrics=METRICS,
    samples=_samples,
    waiting=_waiting,
    before_uninstall=_before_uninstall,
    after_uninstall=_after_uninstall,
)
