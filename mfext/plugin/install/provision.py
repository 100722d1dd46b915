"""Install what an administrator provides: the archives in ``/etc/metwork.config.d/MODULE/plugins``, at module start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mfext.environment import Home, administrators_folder
from mfext.errors import MetworkError
from mfext.log import get_logger
from mfext.plugin.install.candidate import offer_of
from mfext.plugin.install.install import Wish, alone, ground, install
from mfext.plugin.install.offers import Standing
from mfext.plugin.install.plan import Permission, in_order, order
from mfext.plugin.install.transaction import Transaction
from mfext.plugin.installed import survey
from mfext.plugin.package.archive import Archive, read_archive

if TYPE_CHECKING:
    from mfext.module import Module

log = get_logger(__name__)


def provision(module: Module, home: Home) -> list[MetworkError]:
    """Install or upgrade the plugins that are provided; what hinders one is told and hinders no other.

    Nothing is downgraded, and what a developer has linked stays. A change that a killed command left unfinished is
    brought to its end first.
    """
    from mfext.configuration.module_config import module_config

    told = _recovered(module, home)
    newest, faults = _newest(administrators_folder() / home.module / "plugins")
    told += faults
    standing = ground(module, survey(home, module, module_config(module, home))).installed if newest else {}
    wanted = [archive for archive in newest if _is_wanted(archive, standing.get(archive.name))]
    for archive in _sorted(wanted):
        try:
            told += install(Wish([archive.path], Permission(upgrade=True)), module, home).problems
            log.info("a provided plugin is installed", plugin=archive.name, version=archive.full_version)
        except MetworkError as error:
            told.append(error)
    return told


def _recovered(module: Module, home: Home) -> list[MetworkError]:
    transaction = Transaction(module, home)
    if not transaction.is_interrupted():
        return []
    with alone(home, "start"):
        return transaction.recover()


def _newest(folder: Path) -> tuple[list[Archive], list[MetworkError]]:
    """The newest archive of each plugin in *folder*, and what is wrong with others."""
    newest: dict[str, Archive] = {}
    faults: list[MetworkError] = []
    for path in sorted(folder.glob("*.plugin")) if folder.is_dir() else []:
        try:
            archive = read_archive(path)
        except MetworkError as error:
            faults.append(error)
            continue
        known = newest.get(archive.name)
        if known is None or order(archive.full_version, known.full_version) > 0:
            newest[archive.name] = archive
    return list(newest.values()), faults


def _is_wanted(archive: Archive, standing: Standing | None) -> bool:
    if standing is None:
        return True
    if standing.dev_link or standing.digest == archive.header.digest:
        return False
    return order(archive.full_version, standing.version) > 0


def _sorted(archives: list[Archive]) -> list[Archive]:
    by_name = {archive.name: archive for archive in archives}
    return [by_name[offer.name] for offer in in_order([offer_of(archive, archive.path) for archive in archives])]
