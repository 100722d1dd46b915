"""Inotify: instances of the kernel's watches on folders, of which each user has only some."""

from __future__ import annotations

import errno
from pathlib import Path

from inotify_simple import INotify

from mfext.errors import ServiceUnavailable

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


def new_inotify(*, nonblocking: bool = False) -> INotify:
    """A new instance; each process that watches folders has one.

    Raises:
        ServiceUnavailable: the user has no more of them, which all its processes share.
    """
    try:
        return INotify(nonblocking=nonblocking)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise ServiceUnavailable(
            f"folders cannot be watched: all {_LIMIT.read_text('ascii').strip()} inotify instances of this user are "
            "used, or all files that this process may open",
            mend='As root: "sysctl fs.inotify.max_user_instances=1024", and a file in /etc/sysctl.d.',
        ) from error
