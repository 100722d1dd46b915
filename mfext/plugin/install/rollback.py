"""Go back to the version of a plugin that was installed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfext.environment import Home
from mfext.errors import UsageError, nearest
from mfext.owner import check_owner
from mfext.plugin.install.install import Installation, Progress, Wish, install
from mfext.plugin.install.plan import Permission
from mfext.plugin.install.transaction import Transaction
from mfext.plugin.marker import markers

if TYPE_CHECKING:
    from mfext.module import Module


def rollback(name: str, module: Module, home: Home, progress: Progress = lambda *_: None) -> Installation:
    """Install the version of the plugin *name* that was there before; doing it twice changes nothing in the end.

    Raises:
        UsageError: there is no such plugin, or nothing was there before.
        NotAllowed: the home is another user's.
        MetworkError: the version of before does not run, and the present one goes on.
    """
    check_owner(home)
    known = markers(home)
    if name not in known:
        raise UsageError(f'no release of the plugin "{name}" is installed', mend=nearest(name, known))
    previous = known[name].previous
    path = Transaction(module, home).releases / previous
    if not previous or not path.is_file():
        raise UsageError(f'no version of the plugin "{name}" was installed before {known[name].full_version}')
    return install(Wish([path], Permission(upgrade=True, downgrade=True)), module, home, progress)
