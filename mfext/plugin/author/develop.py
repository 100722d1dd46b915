"""Put a developer's folder among the installed plugins, and take a plugin out again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import ConfigError, Conflict, MetworkError, UsageError, raise_all
from mfext.fs.atomic import replace_link
from mfext.plugin.install.transaction import Change, Journal, Transaction
from mfext.plugin.installed import Installed, find, same_name, survey
from mfext.plugin.manifest import Plugin, load_plugin

if TYPE_CHECKING:
    from mfext.lifecycle.lifecycle import Result
    from mfext.lifecycle.preview import Preview
    from mfext.module import Module


def develop(folder: Path, module: Module, home: Home, say: Callable[[str], None]) -> tuple[Plugin, Result]:
    """Dev-link the plugin in *folder* and put it in force; it gives the plugin and what came of that.

    Doing it again is fine. Where the module does not run, the plugin is linked and no more. What it requires is
    installed first; *say* gets a line about that.

    Raises:
        MetworkError: the plugin cannot be in force, or another one has its name; it is linked no more than before.
    """
    from mfext.configuration.module_config import module_config
    from mfext.lifecycle import lifecycle
    from mfext.plugin.author.check import custom_faults
    from mfext.plugin.developed import forget_others, prepare
    from mfext.plugin.install.install import alone

    plugin = load_plugin(folder, module, home, dev_link=True)
    lifecycle.init(module, home)
    # It may take minutes, in which others can work on the home.
    prepare(plugin, module, home, say)
    with alone(home, "develop"):
        Transaction(module, home).recover()
        config = module_config(module, home)
        places = survey(home, module, config)
        # Code that cannot be imported fails when it starts; a wrong configuration is refused now.
        raise_all([fault for fault in custom_faults(plugin, home, module, config) if isinstance(fault, ConfigError)])
        link = home.plugins / plugin.name
        _check_free(link, plugin, places)
        former = _links_to(plugin.folder, places)
        _link(link, plugin.folder)
        for stale in former:
            # The name in its config.ini was another one when it was linked.
            if stale != link:
                stale.unlink()
    try:
        result = lifecycle.apply(module, home, plugins=(plugin.name,))
    except MetworkError:
        if not former:
            link.unlink(missing_ok=True)
        raise
    forget_others(plugin)
    return plugin, result


def warnings_of(plugin: Plugin, module: Module, home: Home) -> list[MetworkError]:
    """What is worth a warning of *plugin* among those that are installed."""
    from mfext.configuration.module_config import module_config
    from mfext.plugin.author.check import new_warnings

    config = module_config(module, home)
    others = [one.plugin for one in survey(home, module, config) if one.plugin]
    return new_warnings(plugin, home, module, config, others)


def uninstall(
    which: str, module: Module, home: Home, *, move_to: str = "", quarantine: bool = False
) -> tuple[str, Result]:
    """Take a plugin out of *home*, with what waits for it put to *move_to* or into quarantine; it gives its name.

    Of a dev-linked plugin the link is removed, and nothing else.

    Args:
        which: name of the plugin, or the path of its folder.
        module: the module whose plugin it is.
        home: where it is installed.
        move_to: the ``PLUGIN/STEP`` that gets what waits for it.
        quarantine: what waits for it goes there.

    Raises:
        UsageError: there is no such plugin, or it is built in.
        MetworkError: other plugins need it, or something waits for it and has nowhere to go; nothing is changed then.
    """
    from mfext.owner import check_owner
    from mfext.plugin.install.install import alone

    check_owner(home)
    with alone(home, "uninstall"):
        transaction = Transaction(module, home)
        transaction.recover()
        one = _removable(which, module, home, move_to, quarantine=quarantine)
        journal = Journal((Change(one.place.name),), move_to, quarantine)
        return one.name, _removed(one, journal, transaction)


def preview_uninstall(
    which: str, module: Module, home: Home, *, move_to: str = "", quarantine: bool = False
) -> Preview:
    """What ``uninstall`` would do with the same arguments.

    Raises:
        MetworkError: it would be refused, for this reason.
    """
    from mfext.lifecycle.preview import preview_plugins
    from mfext.owner import check_owner
    from mfext.plugin.install.install import check_ended

    check_owner(home)
    check_ended(Transaction(module, home))
    one = _removable(which, module, home, move_to, quarantine=quarantine)
    found = preview_plugins(module, home, (), {one.name})
    to = f"would go to {move_to}" if move_to else "would go into quarantine"
    act = f"remove the link to {one.place.resolve()}" if one.dev_link else f"uninstall {one.name}"
    return replace(found, plugins=[act], waiting=[f"{line} and {to}" for line in found.waiting])


def _removable(which: str, module: Module, home: Home, move_to: str, *, quarantine: bool) -> Installed:
    """The plugin *which*, once it is sure that it may be taken out.

    Raises:
        MetworkError: it may not; see `uninstall`.
    """
    from mfext.configuration.module_config import module_config
    from mfext.plugin.author.check import new_faults
    from mfext.plugin.install.install import ground
    from mfext.plugin.install.plugin_requirements import needed_by

    config = module_config(module, home)
    places = survey(home, module, config)
    one = find(which, places)
    _check_removable(one)
    plugins = [other.plugin for other in places if other.plugin]
    rest = [plugin for plugin in plugins if plugin is not one.plugin]
    raise_all(needed_by({one.name}, ground(module, places).installed))
    raise_all(new_faults(plugins, rest, home, module, config))
    module.before_uninstall(home, config, one.name, move_to, quarantine)
    return one


def _check_free(link: Path, plugin: Plugin, places: Sequence[Installed]) -> None:
    """Make sure that *link* can be made, without a second plugin of that name and without hiding any other."""
    for one in places:
        if one.dev_link and (one.place.resolve() == plugin.folder or not one.place.exists()):
            continue
        if one.name == plugin.name:
            raise same_name(plugin.name, [one.place.resolve(), plugin.folder])
        if one.place == link:
            raise Conflict(
                f'the plugin "{one.name}" is installed there',
                where=str(link),
                mend="Uninstall it, or develop it again.",
            )


def _links_to(folder: Path, places: Sequence[Installed]) -> list[Path]:
    return [one.place for one in places if one.dev_link and one.place.resolve() == folder]


def _link(link: Path, folder: Path) -> None:
    """Make *link* point to *folder*, in one step."""
    if link.is_symlink() and link.readlink() == folder:
        return
    replace_link(link, folder)


def _check_removable(one: Installed) -> None:
    if one.builtin:
        raise UsageError(
            f'the plugin "{one.name}" is built in',
            mend="Take it out of the configuration of the module, section [internal_plugins].",
        )


def _removed(one: Installed, journal: Journal, transaction: Transaction) -> Result:
    """Remove what is installed as *one*; of a link, what it points to stays."""
    from mfext.configuration.module_config import module_config
    from mfext.lifecycle import lifecycle
    from mfext.plugin.developed import forget

    module, home = transaction.module, transaction.home
    if not one.place.is_symlink() and one.place.is_dir():
        transaction.begin()
        result = transaction.carry_out(journal)
    else:
        one.place.unlink()
        result = lifecycle.apply(module, home)
        config = module_config(module, home)
        module.after_uninstall(home, config, one.name, journal.move_to, journal.quarantine)
    forget(home, one.name)
    return result
