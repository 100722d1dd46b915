"""Bring the installed releases back to what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mfext.configuration.plugin_policy import signature_rule
from mfext.environment import Home
from mfext.errors import MetworkError, PluginError, UsageError, nearest
from mfext.owner import check_owner
from mfext.plugin.install.candidate import Taken, take
from mfext.plugin.install.install import PREPARING, Installation, Progress, alone, prepared, put_in
from mfext.plugin.install.transaction import Transaction
from mfext.plugin.install.verify import Differences, differences
from mfext.plugin.installed import survey
from mfext.plugin.marker import Marker, markers
from mfext.plugin.package.archive import read_archive

if TYPE_CHECKING:
    from mfext.module import Module


def repair(names: Sequence[str], module: Module, home: Home, progress: Progress = lambda *_: None) -> Installation:
    """End what a killed command left, and install those of *names*, by default all, again whose files were changed.

    Raises:
        UsageError: no release of such a name is installed.
        MetworkError: something cannot be repaired.
    """
    from mfext.configuration.module_config import module_config
    from mfext.lifecycle import lifecycle

    lifecycle.init(module, home)
    with alone(home, "repair"):
        transaction = Transaction(module, home)
        told = transaction.recover()
        transaction.settle_database()
        known = markers(home)
        for name in names:
            if name not in known:
                raise UsageError(f'no release of the plugin "{name}" is installed', mend=nearest(name, known))
        damaged = [known[name] for name in names or known if difference(known[name], home).is_damaged]
        done = Installation(())
        if damaged:
            progress(PREPARING, 0, 1)
            required = signature_rule(module_config(module, home))
            with prepared(transaction):
                taken = [_kept(marker, number, transaction, required) for number, marker in enumerate(damaged)]
                done = put_in(taken, transaction, progress, survey(home, module, module_config(module, home)))
    return replace(done, problems=(*told, *done.problems))


def difference(marker: Marker, home: Home) -> Differences:
    """How the files of an installed release differ from its archive.

    Raises:
        MetworkError: the archive is not there any more, or is damaged.
    """
    path = home.var / "releases" / marker.archive
    if not path.is_file():
        raise PluginError(
            f'the archive that the plugin "{marker.name}" came from is gone',
            where=str(path),
            mend="Install it once more: plugins.uninstall, then plugins.install.",
        )
    return differences(home.plugins / marker.name, read_archive(path))


def interrupted(module: Module, home: Home) -> list[MetworkError]:
    """End what a killed command left, if nobody is at it; what came of that.

    Who only looks at another user's home leaves it as it is.
    """
    transaction = Transaction(module, home)
    if not transaction.is_interrupted():
        return []
    try:
        check_owner(home)
        with alone(home, "repair"):
            return transaction.recover()
    except MetworkError as error:
        return [error]


def _kept(marker: Marker, number: int, transaction: Transaction, required: str) -> Taken:
    path = transaction.releases / marker.archive
    return take(path, transaction.folder / f"{number}.plugin", transaction.home, required)
