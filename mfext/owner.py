"""Whose home it is: a module runs as the user who owns its home, and so do all commands on it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from mfext.environment import Home
from mfext.errors import MetworkError, NotAllowed


def check_owner(home: Home) -> None:
    """Make sure that this user may act on *home*, which may be still to be made.

    A file that another user makes in a home, root included, is one that the module's own processes cannot touch.

    Raises:
        NotAllowed: the home is another user's, or cannot be made or written to.
    """
    place = home.path
    if not is_made(home):
        _check_can_make(place)
        return
    if not place.is_dir():
        raise MetworkError("this is not a folder", where=str(place), expected=f"the home of {home.module}")
    owner = place.stat().st_uid
    if owner != os.geteuid():
        raise _another_user(home, owner)
    for folder in (place, home.var, home.plugins, home.run, home.log, home.tmp, home.config):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise NotAllowed(
                f"this folder of {home.module} is not writable",
                where=str(folder),
                mend=f"Give it back with: chmod u+rwx {folder}",
            )


def is_made(home: Home) -> bool:
    """Whether there is something at the place of *home*.

    Raises:
        NotAllowed: this user may not even look.
    """
    try:
        return home.path.exists()
    except PermissionError as error:
        me = user_name(os.geteuid())
        raise NotAllowed(f"user {me} may not look there", where=str(home.path)) from error


def user_name(uid: int) -> str:
    """The name of the user *uid*, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _check_can_make(place: Path) -> None:
    above = next(folder for folder in place.parents if folder.exists())
    if not above.is_dir():
        raise MetworkError(f"cannot be made: {above} is not a folder", where=str(place))
    if not os.access(above, os.W_OK | os.X_OK):
        raise NotAllowed(
            f"cannot be made: {above} is not writable for user {user_name(os.geteuid())}",
            where=str(place),
            mend="Set METWORK_HOME to a folder that is.",
        )


def _another_user(home: Home, owner: int) -> NotAllowed:
    me, other = user_name(os.geteuid()), user_name(owner)
    return NotAllowed(
        f"this home of {home.module} belongs to user {other}, and you are {me}",
        where=str(home.path),
        expected=f"every command on it to be given by {other}",
        mend=f'Become that user first, for example with "su {other}", or set METWORK_HOME to a folder of your own.',
    )
