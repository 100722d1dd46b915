"""The arbiter's endpoint: the socket of circus in the home's run folder, and questions to it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mfext.environment import Home
from mfext.errors import InternalError, ServiceUnavailable

#: Name of the socket in the run folder.
SOCKET = "circus.sock"
#: Milliseconds between two looks whether the arbiter still lives.
_LOOK = 200


def address(folder: int) -> str:
    """The endpoint in the open folder *folder*: the path of a socket may have 107 bytes, and homes may lie deep."""
    return f"ipc:///proc/self/fd/{folder}/{SOCKET}"


def ask(
    home: Home,
    command: str,
    properties: Mapping[str, Any],
    timeout: float,
    is_running: Callable[[], bool],
) -> dict[str, Any]:
    """The arbiter's answer to *command*, one of those that it adds to circus'.

    Args:
        home: whose arbiter.
        command: its name.
        properties: its arguments, JSON values.
        timeout: seconds to wait.
        is_running: looked at while waiting.

    Raises:
        ServiceUnavailable: there is no arbiter, it ended meanwhile, or it did not answer in time.
        InternalError: it answered with an error.
    """
    import zmq

    folder = os.open(home.run, os.O_RDONLY)
    try:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RECONNECT_IVL, 10)  # milliseconds: an arbiter that is just being started
            socket.connect(address(folder))
            identity = uuid.uuid4().hex
            wanted = {**properties, "waiting": True}
            socket.send_json({"id": identity, "command": command, "properties": wanted})
            _await_answer(socket, home, timeout, is_running)
            answer: Any = socket.recv_json()
    finally:
        with suppress(OSError):
            os.close(folder)
    if answer.get("status") != "ok":
        raise InternalError(f"the arbiter could not do {command}: {answer.get('reason')}", where=str(home.path))
    return dict(answer)


def _await_answer(socket: Any, home: Home, timeout: float, is_running: Callable[[], bool]) -> None:
    deadline = time.monotonic() + timeout
    while not socket.poll(_LOOK):
        if not is_running():
            raise ServiceUnavailable(f"module {home.module} does not run", where=str(home.path))
        if time.monotonic() > deadline:
            raise ServiceUnavailable(f"the arbiter does not answer within {timeout:g} s", where=str(home.path))
