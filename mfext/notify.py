"""Notify: what a module that systemd starts says to it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from mfext.environment import NOTIFY_SOCKET, variables

#: Seconds that systemd may take to read a message.
_READ = 5.0


def notify_ready(pid: int) -> None:
    """Tell systemd, where it started this, that the module is up and that the process *pid* is the one to watch."""
    _notify(f"MAINPID={pid}\nREADY=1")


def _notify(message: str) -> None:
    """Send *message* and wait until it was read: of a sender that has ended, systemd does not know the unit."""
    place = variables().get(NOTIFY_SOCKET, "")
    if not place:
        return
    address = f"\0{place[1:]}" if place.startswith("@") else place
    ours, theirs = os.pipe()
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(_READ)
        sender.connect(address)
        sender.send(message.encode())
        # systemd closes the file when it has come so far.
        socket.send_fds(sender, [b"BARRIER=1"], [theirs])
        os.close(theirs)
        theirs = -1
        _await_end(ours)
    for descriptor in (ours, theirs):
        with suppress(OSError):
            os.close(descriptor)


def _await_end(descriptor: int) -> None:
    """Wait until nobody has the other end of the pipe *descriptor*, for some seconds at most."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLHUP)
    poll.poll(_READ * 1000)
